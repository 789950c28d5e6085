use cachemacro::{cache_put, cached};

#[cached(unless = result.is_err())]
async fn f(id: u32) -> Result<u32, String> {
    Ok(id)
}

#[cached(unless = |found| found.is_none())]
async fn g(id: u32) -> Option<u32> {
    Some(id)
}

#[cache_put(prefix = "f", key = "{id}", unless = !result.is_ok() || id == 0)]
async fn h(id: u32) -> Result<u32, String> {
    Ok(id)
}

fn main() {}
