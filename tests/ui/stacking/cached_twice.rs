use cachemacro::cached;

#[cached(prefix = "a")]
#[cached(prefix = "b")]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
