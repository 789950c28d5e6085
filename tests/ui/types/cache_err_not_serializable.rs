use cachemacro::cached;

#[cached(cache_err)]
async fn f(id: u32) -> Result<u32, std::fmt::Error> {
    Ok(id)
}

fn main() {}
