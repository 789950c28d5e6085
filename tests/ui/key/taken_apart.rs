use cachemacro::cached;

#[cached(key = |pair| pair.0)]
async fn f((a, b): (u32, u32)) -> u32 {
    a + b
}

fn main() {}
