use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

impl Users {
    #[cache_write_behind(entry = user_entry(id), queue = self.renames)]
    #[cachemacro::cache_evict(tags = ["users"])]
    async fn evicts(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }

    #[cachemacro::cache_put(entry = user_entry(id))]
    #[cache_write_behind(entry = user_entry(id), queue = self.renames)]
    async fn puts(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }

    #[cache_write_behind(entry = user_entry(id), queue = self.renames)]
    #[cache_write_behind(entry = user_entry(id + 1), queue = self.renames)]
    async fn twice(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }

    #[cached]
    #[cache_write_behind(entry = user_entry(id), queue = self.renames)]
    async fn cached(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }
}

fn main() {}
