use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

#[derive(Debug, Clone)]
enum Error {
    NoSuchUser,
}

impl Users {
    #[cache_write_behind(entry = user_entry(id), queue = self.renames)]
    async fn rename(&self, id: u32) -> Result<String, Error> {
        if id > 0 { Ok(id.to_string()) } else { Err(Error::NoSuchUser) }
    }

    #[cache_write_behind(entry = user_entry(id), queue = self.renames, delete)]
    async fn remove(&self, id: u32) {
        let _ = id;
    }
}

fn main() {}
