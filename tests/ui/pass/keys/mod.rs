mod closures;
mod functions_and_expressions;
mod skip;
mod templates;
