use cachemacro::cache_put;

#[cache_put(prefix = "user", key = "{id}")]
async fn f(id: u32) -> Result<(), String> {
    Err(id.to_string())
}

fn main() {}
