mod generic_impl;
mod lifetimes;
mod receivers;
