mod defaults;
mod small;
mod traits;
