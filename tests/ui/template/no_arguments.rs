use cachemacro::cached;

#[cached(key = "{id}")]
async fn f() -> u32 {
    1
}

fn main() {}
