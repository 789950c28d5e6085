use cachemacro::cached;

#[cached(refresh = "80%")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
