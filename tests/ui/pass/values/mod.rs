mod aliases;
mod inside_holders;
mod none_and_err;
mod policies;
mod result;
mod rules;
mod schemas;
mod tagged;
