use cachemacro::{Cache, Tag, cache_evict};

#[derive(Tag)]
enum Of {
    Users,
}

#[cache_evict(tags = [Of::Usres])]
async fn forget() {}

struct NoTag;

async fn evict() {
    Cache::memory().evict_tags([NoTag]).await.unwrap();
}

fn main() {}
