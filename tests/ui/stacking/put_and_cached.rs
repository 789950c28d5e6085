use cachemacro::{cache_put, cached};

#[cache_put(prefix = "a", key = "{id}")]
#[cached]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
