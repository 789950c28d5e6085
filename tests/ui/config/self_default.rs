use cachemacro::{Cache, cache_config, cached};

struct Users {
    cache: Cache,
}

#[cache_config(cache = self.cache, tags = ["tenant:{self.tenant}"])]
impl Users {
    #[cached]
    async fn count() -> u32 {
        1
    }
}

fn main() {}
