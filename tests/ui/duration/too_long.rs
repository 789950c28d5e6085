use cachemacro::cached;

#[cached(ttl = "99999999999999999w")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
