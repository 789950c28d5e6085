mod generic_impl;
mod receivers;
