use cachemacro::{cache_evict, cache_put, cached};

struct Users;

impl Users {
    #[cached(entry = user_entry)]
    async fn user(&self, org: u32, id: u64) -> u64 {
        u64::from(org) + id
    }

    #[cache_put(entry = Self::user_entry(org))]
    async fn rename(&self, org: u32, id: u64) -> u64 {
        u64::from(org) + id
    }

    #[cache_evict(entry = Self::user_entry(org))]
    async fn delete(&self, org: u32) -> u32 {
        org
    }

    #[cache_evict(entries = [Self::user_entry(org)])]
    async fn delete_all(&self, org: u32) -> u32 {
        org
    }
}

fn main() {}
