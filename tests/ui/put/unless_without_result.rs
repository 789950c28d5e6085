use cachemacro::cache_put;

#[cache_put(prefix = "user", key = "{id}", unless = id > 3)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
