use cachemacro::cached;

#[cached(local = "never")]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
