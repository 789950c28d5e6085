mod associated_types;
mod async_trait;
mod impl_future;
mod native;
mod unnamed_arguments;
mod writes;
