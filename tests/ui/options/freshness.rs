use cachemacro::{cache_put, cached};

#[cached(refresh = "0%")]
async fn never(id: u32) -> u32 {
    id
}

#[cached(refresh = 80)]
async fn number(id: u32) -> u32 {
    id
}

#[cached(stale = "never")]
async fn endless(id: u32) -> u32 {
    id
}

#[cached(stale = 60)]
async fn without_unit(id: u32) -> u32 {
    id
}

#[cached(ttl = "5m", max_age = "1m")]
async fn too_short(id: u32) -> u32 {
    id
}

#[cached(ttl = "never", max_age = "1d")]
async fn both(id: u32) -> u32 {
    id
}

#[cached(max_age = "0s")]
async fn nothing(id: u32) -> u32 {
    id
}

#[cached(stale = std::time::Duration::from_secs(id))]
async fn of_an_argument(id: u64) -> u64 {
    id
}

#[cache_put(prefix = "n", key = "{id}", refresh = "80%")]
async fn put(id: u32) -> u32 {
    id
}

fn main() {}
