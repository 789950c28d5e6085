use cachemacro::{cache_evict, cached};

#[cached(entry = user_entry)]
async fn user(id: u32) -> u32 {
    id
}

#[cache_evict(entries = user_entry(id))]
async fn f(id: u32) -> u32 {
    id
}

#[cache_evict(entries = user_entry(*result))]
async fn g(id: u32) -> u32 {
    id
}

fn main() {}
