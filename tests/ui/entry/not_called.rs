use cachemacro::{cache_evict, cache_put, cached};

#[cached(entry = user_entry)]
async fn user(org: u32, id: u64) -> u64 {
    u64::from(org) + id
}

#[cache_put(entry = user_entry)]
async fn rename(org: u32, id: u64) -> u64 {
    u64::from(org) + id
}

struct Users;

impl Users {
    #[cache_evict(entry = Self::user_entry)]
    async fn delete(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
