use cachemacro::cache_put;

#[cachemacro::cached(entry = user_entry)]
async fn user(id: u32) -> Option<String> {
    Some(id.to_string())
}

#[cache_put(entry = user_entry(id), key = "{id}", ttl = "5m", tags = ["a"], codec = Json)]
async fn f(id: u32) -> String {
    id.to_string()
}

fn main() {}
