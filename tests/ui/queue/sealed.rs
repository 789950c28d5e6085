use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

impl Users {
    #[cached(prefix = "name", key = "{id}", sealed, write_behind = self.renames)]
    async fn name(&self, id: u32) -> Option<String> {
        Some(id.to_string())
    }

    #[cached(prefix = "text", key = "{id}", write_behind = "renames")]
    async fn text(&self, id: u32) -> Option<String> {
        Some(id.to_string())
    }
}

fn main() {}
