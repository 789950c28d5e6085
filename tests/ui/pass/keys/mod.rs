mod capitals;
mod closures;
mod functions_and_expressions;
mod own_names;
mod raw_names;
mod skip;
mod templates;
