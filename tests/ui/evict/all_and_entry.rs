use cachemacro::cache_evict;

#[cachemacro::cached(entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

#[cache_evict(entry = user_entry(id), all)]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
