mod constants;
mod hostile_names;
mod macros;
mod nested;
mod renamed;
mod without_a_prelude;
