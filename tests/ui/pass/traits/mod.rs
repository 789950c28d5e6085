mod async_trait;
mod native;
