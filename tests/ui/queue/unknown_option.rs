use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

impl Users {
    #[cache_write_behind(entry = user_entry(id), queue = self.renames, ttl = "5m", condition = id > 0)]
    async fn option_of_puts(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }

    #[cache_write_behind(entry = user_entry(id), queu = self.renames)]
    async fn misspelt(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }

    #[cache_write_behind(user_entry(id), queue = self.renames, removed)]
    async fn without_names(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }
}

#[cached(queue = RENAMES)]
async fn elsewhere(id: u32) -> Option<String> {
    Some(id.to_string())
}

fn main() {}
