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
    async fn remove(&self, id: u32) -> cachemacro::Result<()> {
        let _ = id;
        Ok(())
    }
}

fn main() {}
