use std::pin::Pin;
use std::sync::Arc;

use cachemacro::cached;

struct Service {
    limit: usize,
}

impl Service {
    #[cached(key = "{id}", unless = result.len() > self.limit)]
    async fn exclusive(&mut self, id: u32) -> String {
        id.to_string()
    }

    #[cached(key = "{id}", tags = [format!("{}:{result}", self.limit)])]
    async fn pinned(self: Pin<&mut Self>, id: u32) -> String {
        id.to_string()
    }

    #[cached(key = "{id}", tags = [format!("{}:{result}", self.limit)])]
    async fn not_clone(self, id: u32) -> String {
        id.to_string()
    }

    #[cached(key = "{id}", tags = [format!("{self:p}:{result}")])]
    async fn in_text(self: Arc<Self>, id: u32) -> String {
        id.to_string()
    }
}

struct Db;

#[cached(key = "{id}", tags = [format!("{}:{result}", db.name())])]
async fn argument(db: Db, id: u32) -> u32 {
    drop(db);
    id
}

impl Db {
    fn name(&self) -> &str {
        "db"
    }
}

fn main() {}
