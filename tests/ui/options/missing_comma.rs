use cachemacro::cached;

#[cached(ttl = "5m" prefix = "f", jitter = "10%")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
