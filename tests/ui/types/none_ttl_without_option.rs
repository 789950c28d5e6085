use cachemacro::cached;

#[cached(none_ttl = "5s")]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
