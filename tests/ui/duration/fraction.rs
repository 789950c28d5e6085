use cachemacro::cached;

#[cached(ttl = "1.5h")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
