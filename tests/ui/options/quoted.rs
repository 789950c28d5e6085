use cachemacro::{cache_evict, cache_put, cached};

#[cached(condition = "id > 0", unless = "result == 0", cache = "redis")]
async fn f(id: u32) -> u32 {
    id
}

#[cached(condition = "#id > 0")]
async fn g(id: u32) -> u32 {
    id
}

#[cache_put(entry = "user_entry")]
async fn h(org: u32, id: u32) -> u32 {
    org + id
}

#[cache_evict(entry = "user_entry(id)")]
async fn i(id: u32) -> u32 {
    id
}

fn main() {}
