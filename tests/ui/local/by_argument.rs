use cachemacro::cached;
use std::time::Duration;

#[cached(local = ttl)]
async fn f(id: u32, ttl: Duration) -> u32 {
    let _ = ttl;
    id
}

#[cached(local = 10)]
async fn g(id: u32) -> u32 {
    id
}

fn main() {}
