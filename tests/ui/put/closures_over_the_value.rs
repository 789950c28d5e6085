use cachemacro::{cache_evict, cache_put};

#[cache_put(
    prefix = "user",
    key = "{id}",
    unless = |saved| *saved > 3,
    ttl = |saved| std::time::Duration::from_secs(saved.into()),
    tags = |saved| [format!("saved:{saved:?}")]
)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

#[cache_evict(tags = |value| [format!("of:{value}")])]
async fn g(id: u32) -> u32 {
    id
}

fn main() {}
