use cachemacro::cached;

#[cached(tags = 5)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
