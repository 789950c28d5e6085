use cachemacro::{cache_put, cached};

#[cached(key = "{id}:{result}", condition = result > 3, none_ttl = result)]
async fn template(id: u32) -> Option<u32> {
    Some(id)
}

#[cached(key = |id| (id, result), cache = result)]
async fn closure(id: u32) -> u32 {
    id
}

#[cached(key = (id, [result]))]
async fn expression(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "x", key = "{result}", condition = *result > 3, cache = result)]
async fn put(id: u32) -> u32 {
    id
}

fn main() {}
