use cachemacro::cached;

#[cached(wait = std::time::Duration::from_secs(id.into()), lease_limit = |id| id)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
