mod conditions;
mod defaults;
mod one_prefix;
mod small;
mod traits;
