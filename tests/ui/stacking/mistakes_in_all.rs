use cachemacro::{cache_evict, cache_put};

#[cache_put(prefix = "a", key = "{idd}")]
#[cache_evict(tgs = ["a"])]
#[cache_evict(all)]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
