use cachemacro::{cache_evict, cached};

#[cached(prefix = "in", key = "{country}")]
async fn f(country: Option<String>) -> usize {
    country.map_or(0, |country| country.len())
}

#[cached(tags = ["in:{country}"])]
async fn g(country: Option<String>) -> usize {
    country.map_or(0, |country| country.len())
}

#[cache_evict(tags = ["{country}:{result}"])]
async fn h(country: Option<String>) -> usize {
    country.map_or(0, |country| country.len())
}

fn main() {}
