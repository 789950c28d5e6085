use std::collections::HashMap;
use std::sync::Arc;

use cachemacro::{cache_config, cached};

trait Repo {
    async fn user(&self, id: u32) -> u32;
}

struct Pg;

#[cache_config(ttl = "1m")]
impl Repo for Arc<Pg> {
    #[cached(key = "{id}", entry = user_entry)]
    async fn user(&self, id: u32) -> u32 {
        id
    }
}

#[cache_config(ttl = "1m")]
impl Repo for &Pg {
    #[cached(key = "{id}", entry = user_entry)]
    async fn user(&self, id: u32) -> u32 {
        id
    }
}

#[cache_config(ttl = "1m")]
impl Repo for HashMap<u32, Pg> {
    #[cached(key = "{id}", entry = user_entry)]
    async fn user(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
