mod arguments;
mod boxed;
mod handles;
mod values;
