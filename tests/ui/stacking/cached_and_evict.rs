use cachemacro::{cache_evict, cached};

#[cached]
#[cache_evict(tags = ["a"])]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
