use cachemacro::{WriteBehind, cache_write_behind, cached};

struct Users {
    renames: WriteBehind<String>,
}

#[cached(prefix = "user", key = "{id}", entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

#[cache_write_behind(entry = user_entry(id))]
async fn rename(id: u32, name: String) -> cachemacro::Result<String> {
    Ok(format!("{id}{name}"))
}

#[cache_write_behind]
async fn neither(id: u32) -> cachemacro::Result<String> {
    Ok(id.to_string())
}

fn main() {}
