use cachemacro::cache_put;

#[cachemacro::cached(entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

#[cache_put(entry = user_entry(id))]
async fn f(id: u32) -> Result<Option<u32>, ()> {
    Ok(Some(id))
}

fn main() {}
