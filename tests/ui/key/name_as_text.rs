use cachemacro::{cache_config, cache_evict, cached};

#[cached(key = "id")]
async fn one(id: u32) -> u32 {
    id
}

#[cached(prefix = "p", key = "by:org:id", entry = both_entry)]
async fn both(org: u32, id: u32) -> u32 {
    org + id
}

struct Users;

#[cache_config(prefix = "users")]
impl Users {
    #[cache_evict(key = "name")]
    async fn forget(&self, name: &str) {
        let _ = name;
    }
}

fn main() {}
