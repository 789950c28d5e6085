use cachemacro::{cache_config, cached};

struct Users;

#[cache_config(ttl = "5", tags = ["org:{org}"])]
impl Users {
    #[cached]
    async fn by_id(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
