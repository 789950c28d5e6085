use cachemacro::{cache_config, cached};

struct Users;

#[cache_config(prefix = "users")]
impl Users {
    #[cached(key = "{id}")]
    async fn by_id(&self, id: u32) -> u32 {
        id
    }

    #[cached(key = "{name}")]
    async fn by_name(&self, name: &str) -> u32 {
        name.len() as u32
    }

    #[cached(key = "email:{email}")]
    async fn by_email(&self, email: &str) -> u32 {
        email.len() as u32
    }

    #[cached]
    async fn all(&self) -> u32 {
        1
    }
}

fn main() {}
