use cachemacro::cached;

#[cached(lease_limit = "0s")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
