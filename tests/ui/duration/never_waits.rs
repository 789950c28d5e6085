use cachemacro::cached;

#[cached(wait = "never", lease_limit = "never")]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
