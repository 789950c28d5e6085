use cachemacro::cached;

#[cached("user:{id}", ttl = "5m")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
