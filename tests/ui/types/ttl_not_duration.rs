use cachemacro::{cache_put, cached};

#[cached(ttl = result + 5)]
async fn f(id: u32) -> u32 {
    id
}

#[cached(ttl = *result, entry = g_entry)]
async fn g(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "g", key = "{id}", ttl = *result)]
async fn h(id: u32) -> u32 {
    id
}

fn main() {}
