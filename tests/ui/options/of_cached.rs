use cachemacro::cache_evict;

#[cache_evict(tags = ["a"], ttl = "5m", skip(id), value = u32)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
