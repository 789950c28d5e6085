use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

impl Users {
    #[cache_write_behind(queue = self.renames)]
    async fn rename(&self, id: u32, name: String) -> cachemacro::Result<String> {
        Ok(format!("{id}{name}"))
    }
}

fn main() {}
