use cachemacro::cached;

#[cached(local = "10s")]
fn f(id: u32) -> u32 {
    id
}

fn main() {}
