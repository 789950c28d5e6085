use cachemacro::{Cache, cached};

#[cached(key = "{id}:{result}", tags = ["users", "org:{result.org}"], unless = result.is_draft)]
async fn templates(id: u32, result: u32) -> u32 {
    id + result
}

#[cached(
    key = (id, result),
    condition = result > 3,
    ttl = if result > 3 { std::time::Duration::MAX } else { std::time::Duration::ZERO },
    tags = ["users", format!("org:{result}")]
)]
async fn expressions(id: u32, (result, _): (u32, u32)) -> u32 {
    id + result
}

#[cached(cache = result)]
async fn cache(id: u32, result: &Cache) -> u32 {
    let _ = result;
    id
}

fn main() {}
