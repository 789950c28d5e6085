use cachemacro::{cache_evict, cache_put, cached};

#[cached(tags = |id| format!("of:{id}:{result}"))]
async fn f(id: u32) -> u32 {
    id
}

#[cached(tags = Some(*result), entry = g_entry)]
async fn g(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "g", key = "{id}", tags = format!("of:{result}"))]
async fn h(id: u32) -> u32 {
    id
}

#[cache_evict(tags = result.to_string())]
async fn i(id: u32) -> u32 {
    id
}

fn main() {}
