use cachemacro::cached;

#[cached(ttl = "5 minutes", none_ttl = "1 h", wait = "30 secs", lease_limit = "1 hour 30 minutes")]
async fn f(id: u32) -> Option<u32> {
    Some(id)
}

fn main() {}
