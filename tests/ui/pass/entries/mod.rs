mod arguments;
mod values;
