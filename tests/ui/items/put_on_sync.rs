use cachemacro::cache_put;

#[cache_put(prefix = "f", key = "{id}")]
fn f(id: u32) -> u32 {
    id
}

fn main() {}
