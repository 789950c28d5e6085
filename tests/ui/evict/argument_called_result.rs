use cachemacro::{cache_evict, cache_put, cached};

#[cached(prefix = "p", key = "{id}", entry = p_entry)]
async fn p(id: u64) -> u64 {
    id
}

#[cache_evict(entry = p_entry(result))]
async fn delete(result: u64) -> Result<u64, String> {
    Ok(result + 1)
}

#[cache_put(prefix = "p", key = "{result}", tags = ["of:{result}"], unless = *result == 0)]
#[cache_evict(tags = [format!("x:{result}")])]
async fn put(result: u64) -> u64 {
    result
}

fn main() {}
