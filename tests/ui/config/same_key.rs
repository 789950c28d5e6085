use cachemacro::{cache_config, cached};

const PREFIX: &str = "orders";

struct Users;
struct Orders;

fn build(id: &u32) -> u32 {
    *id
}

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

    #[cached(key = "{org}{id}")]
    async fn by_both(&self, org: u32, id: u32) -> u32 {
        org + id
    }

    #[cached(key = "all")]
    async fn all(&self) -> u32 {
        1
    }

    #[cached]
    async fn none(&self) -> u32 {
        0
    }
}

#[cache_config(prefix = PREFIX)]
impl Orders {
    #[cached(key = "of:{user}")]
    async fn of(&self, user: u32) -> u32 {
        user
    }

    #[cached(key = build(&id))]
    async fn built(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
