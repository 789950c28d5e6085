use cachemacro::cache_evict;

#[cache_evict(tags = ["a"], on_evict_error = "return")]
async fn f(id: u32) -> Result<u32, String> {
    Ok(id)
}

fn main() {}
