use cachemacro::{cache_evict, cached};

#[cached(key = "$id")]
async fn f(id: u32) -> u32 {
    id
}

#[cached(key = "user-#id", tags = ["user:@id", "a<id>"])]
async fn g(id: u32) -> u32 {
    id
}

#[cache_evict(prefix = "user", key = "#id:{org}", tags = ["user:$id"])]
async fn h(org: u32, id: u32) -> u32 {
    org + id
}

fn main() {}
