mod arguments;
mod handles;
mod values;
