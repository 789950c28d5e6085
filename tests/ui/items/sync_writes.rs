use cachemacro::{Error, cache_evict, cache_put, cached};

#[cached(key = "{id}", entry = stored_entry)]
async fn stored(id: u32) -> u32 {
    id
}

#[cached(key = "{id}", entry = kept_entry)]
fn kept(id: u32) -> u32 {
    id
}

#[cache_put(prefix = "stored", key = "{id}")]
fn by_key(id: u32) -> u32 {
    id
}

#[cache_put(entry = stored_entry(id))]
fn into_a_store(id: u32) -> u32 {
    id
}

#[cache_put(entry = kept_entry(id))]
fn another_type(id: u32) -> String {
    id.to_string()
}

#[cache_evict(entry = kept_entry(id), on_evict_error = "return")]
fn answered(id: u32) -> Result<(), Error> {
    Ok(())
}

fn main() {}
