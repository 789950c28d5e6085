use cachemacro::{cache_put, cached};

#[cached(ttl = "0s")]
async fn f(id: u32) -> u32 {
    id
}

#[cached(none_ttl = "0ms")]
async fn g(id: u32) -> Option<u32> {
    Some(id)
}

#[cache_put(prefix = "p", key = "{id}", ttl = "0s")]
async fn put(id: u32) -> u32 {
    id
}

fn main() {}
