use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

struct Numbers {
    numbers: WriteBehind<u64>,
    names: Vec<String>,
}

impl Numbers {
    #[cache_write_behind(entry = user_entry(id), queue = self.numbers)]
    async fn rename(&self, id: u32) -> cachemacro::Result<String> {
        Ok(id.to_string())
    }

    #[cache_write_behind(entry = user_entry(id), queue = self.numbers, delete)]
    async fn remove(&self, id: u32) -> cachemacro::Result<()> {
        let _ = id;
        Ok(())
    }

    #[cache_write_behind(entry = user_entry(id), queue = self.names, delete)]
    async fn no_queue(&self, id: u32) -> cachemacro::Result<()> {
        let _ = id;
        Ok(())
    }

    #[cached(prefix = "number", key = "{id}", write_behind = self.numbers)]
    async fn number(&self, id: u32) -> String {
        id.to_string()
    }
}

fn main() {}
