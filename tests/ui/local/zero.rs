use cachemacro::cached;

#[cached(local = "0s")]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
