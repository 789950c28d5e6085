use cachemacro::cache_put;

#[cache_put(prefix = "user", key = "{id}")]
async fn f(id: u32) -> std::time::Instant {
    let _ = id;
    std::time::Instant::now()
}

fn main() {}
