use cachemacro::codec::Json;
use cachemacro::{Cache, cache_config, cached};

static CACHE: std::sync::LazyLock<Cache> = std::sync::LazyLock::new(Cache::memory);

#[cached(cache = CACHE, ttl = "5m")]
fn shared(id: u32) -> u32 {
    id
}

#[cached(codec = Json, version = 2, lease_limit = "5s")]
fn stored(id: u32) -> u32 {
    id
}

#[cached(soft = "1s", timeout = "2s", on_timeout = 7, stale = "1h", refresh = "80%", max_age = "1h")]
fn aging(id: u32) -> u32 {
    id
}

#[cached(local = "1s", validate = true, recorded)]
fn here(id: u32) -> u32 {
    id
}

#[cached]
const fn early(id: u32) -> u32 {
    id
}

struct Users(Cache);

#[cache_config(cache = self.0)]
impl Users {
    #[cached]
    fn name(&self, id: u32) -> String {
        id.to_string()
    }
}

fn main() {}
