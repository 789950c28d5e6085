use std::sync::Arc;

use cachemacro::cached;

struct Users;

impl Users {
    #[cached(timeout = "2s")]
    async fn by_reference(&self, id: u32) -> u32 {
        id
    }

    #[cached(timeout = "2s")]
    async fn owned(self: Arc<Self>, id: u32) -> u32 {
        id
    }
}

#[cached(soft = "200ms")]
async fn text(name: &str) -> usize {
    name.len()
}

#[cached(refresh = "80%, background")]
async fn inside(names: Vec<&str>) -> usize {
    names.len()
}

#[cached(refresh = "80%, later")]
async fn how(id: u32) -> u32 {
    id
}

#[cached(soft = "2s", timeout = "1s")]
async fn order(id: u32) -> u32 {
    id
}

#[cached(timeout = "never")]
async fn endless(id: u32) -> u32 {
    id
}

#[cached(on_timeout = 7)]
async fn without_timeout(id: u32) -> u32 {
    id
}

#[cached(timeout = "2s", on_timeout = id)]
async fn of_an_argument(id: u32) -> u32 {
    id
}

fn main() {}
