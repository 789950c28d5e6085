use cachemacro::{cache_evict, cached};

#[cached(ttl_seconds = 60, eviction = "lru", backend = "redis", Max = 100)]
async fn f(id: u32) -> u32 {
    id
}

#[cached(expires_in = 60, maxsize = 100, Custom = "x")]
async fn g(id: u32) -> u32 {
    id
}

#[cache_evict(prefix = "f", allEntries = true)]
async fn h(id: u32) -> u32 {
    id
}

fn main() {}
