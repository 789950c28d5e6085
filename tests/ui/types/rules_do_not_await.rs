use cachemacro::{cache_evict, cache_put, cached};

async fn ask(n: u32) -> bool {
    n > 3
}

#[cached(unless = ask(*result).await, ttl = if ask(*result).await { std::time::Duration::MAX } else { std::time::Duration::ZERO })]
async fn f(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "x", key = "{id}", tags = ["all", ask(*result).await.to_string()])]
#[cache_evict(prefix = "x", key = ask(*result).await)]
async fn g(id: u32) -> u32 {
    id
}

fn main() {}
