use cachemacro::cached;

#[cached(colour = |x, y| "blue", flavour(sweet), ttl = "5m")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
