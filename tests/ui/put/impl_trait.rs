use cachemacro::cache_put;

#[cache_put(prefix = "shown", key = "{id}")]
async fn f(id: u32) -> impl std::fmt::Display {
    id
}

fn main() {}
