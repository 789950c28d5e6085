use cachemacro::{cache_evict, cache_put, cached};

#[cached(tags = |value| format!("of:{value}"))]
async fn f(id: u32) -> u32 {
    id
}

#[cached(tags = |value| [*value], entry = g_entry)]
async fn g(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "g", key = "{id}", tags = |value| format!("of:{value}"))]
async fn h(id: u32) -> u32 {
    id
}

#[cache_evict(tags = |value| format!("of:{value}"))]
async fn i(id: u32) -> u32 {
    id
}

fn main() {}
