use cachemacro::{cache_evict, cached};

struct User {
    id: u64,
    name: String,
}

#[cached(key = user.id, tags = |user| user.id)]
async fn f(user: User) -> u64 {
    user.id
}

#[cache_evict(tags = |user| user.name)]
async fn g(user: User) -> User {
    user
}

#[cached(tags = |ids| ids)]
async fn h(ids: Vec<u64>) -> usize {
    ids.len()
}

fn main() {}
