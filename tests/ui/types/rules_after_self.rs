use std::pin::Pin;
use std::sync::Arc;

use cachemacro::cached;

struct Service {
    limit: usize,
}

impl Service {
    #[cached(key = "{id}", unless = |text| text.len() > self.limit)]
    async fn exclusive(&mut self, id: u32) -> String {
        id.to_string()
    }

    #[cached(key = "{id}", tags = |_| [self.limit.to_string()])]
    async fn pinned(self: Pin<&mut Self>, id: u32) -> String {
        id.to_string()
    }

    #[cached(key = "{id}", tags = |_| [self.limit.to_string()])]
    async fn not_clone(self, id: u32) -> String {
        id.to_string()
    }

    #[cached(key = "{id}", tags = |_| [format!("{self:p}")])]
    async fn in_text(self: Arc<Self>, id: u32) -> String {
        id.to_string()
    }
}

fn main() {}
