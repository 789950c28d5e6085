mod defaults;
mod traits;
