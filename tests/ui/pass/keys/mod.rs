mod capitals;
mod closures;
mod functions_and_expressions;
mod macro_calls;
mod own_names;
mod raw_names;
mod skip;
mod templates;
