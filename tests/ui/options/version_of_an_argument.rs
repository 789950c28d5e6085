use cachemacro::cached;

#[cached(version = n)]
async fn f(n: u32) -> u32 {
    n
}

fn main() {}
