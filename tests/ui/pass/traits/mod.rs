mod associated_types;
mod async_trait;
mod native;
mod writes;
