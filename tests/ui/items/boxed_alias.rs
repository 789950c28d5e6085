use std::pin::Pin;

use cachemacro::{cache_evict, cached};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[cached]
fn f(id: u32) -> BoxFuture<'static, u32> {
    Box::pin(async move { id })
}

#[cache_evict(tags = ["ids"])]
fn g(id: u32) -> BoxFuture<'static, u32> {
    Box::pin(async move { id })
}

fn main() {}
