use cachemacro::cached;

#[cached(cache_none, ttl = "5s")]
async fn f(id: u32) -> Result<u32, String> {
    Ok(id)
}

fn main() {}
