use cachemacro::{cache_evict, cache_put, cached};

#[cached(entry = user_entry)]
async fn user(id: u32) -> u32 {
    id
}

#[cache_evict(user_entry(id))]
async fn f(id: u32) -> u32 {
    id
}

#[cache_put(user_entry(&id), on_err = "evict")]
async fn g(id: u32) -> u32 {
    id
}

struct Repo;

impl Repo {
    #[cached(key = "{id}", entry = of_entry)]
    async fn of(&self, id: u32) -> u32 {
        id
    }

    #[cache_evict(Self::of_entry(id), before)]
    async fn h(&self, id: u32) -> u32 {
        id
    }

    #[cache_evict(self.of_entry(id))]
    async fn i(&self, id: u32) -> u32 {
        id
    }
}

#[cache_evict(tagss("x"))]
async fn j(id: u32) -> u32 {
    id
}

fn main() {}
