use std::sync::Arc;

use cachemacro::{cache_put, cached};

struct Users;

impl Users {
    #[cached(verify = "0.1%")]
    async fn by_reference(&self, id: u32) -> u32 {
        id
    }

    #[cached(verify = "0.1%")]
    async fn owned(self: Arc<Self>, id: u32) -> u32 {
        id
    }

    #[cached(verify = "0.1%, inline")]
    async fn waits(&self, id: u32) -> u32 {
        id
    }
}

#[cached(verify = "0%")]
async fn none(id: u32) -> u32 {
    id
}

#[cached(verify = 0.1)]
async fn number(id: u32) -> u32 {
    id
}

#[cached(verify = "0.00001%")]
async fn too_little(id: u32) -> u32 {
    id
}

#[cached(verify = "1%, behind")]
async fn how(id: u32) -> u32 {
    id
}

#[cached(within = "60s", verify_by = same, on_inconsistent = "evict")]
async fn of_what(id: u32) -> u32 {
    id
}

#[cached(verify = "1%", within = "never")]
async fn endless(id: u32) -> u32 {
    id
}

#[cached(verify = "1%", on_inconsistent = "panic")]
async fn panics(id: u32) -> u32 {
    id
}

#[cached(verify = "1%", verify_by = same(1, 2))]
async fn called(id: u32) -> u32 {
    id
}

#[cached(verify = "1%", verify_by = |one, other| one == other)]
async fn closure(id: u32) -> u32 {
    id
}

#[cached(verify = "1%")]
fn sync(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "n", key = "{id}", verify = "1%")]
async fn put(id: u32) -> u32 {
    id
}

fn same(_: &u32, _: &u32) -> bool {
    true
}

fn main() {}
