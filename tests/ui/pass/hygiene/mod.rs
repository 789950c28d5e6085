mod hostile_names;
mod macros;
mod renamed;
