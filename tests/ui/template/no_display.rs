use cachemacro::cached;

#[cached(key = "{filter}")]
async fn f(filter: Filter) -> u32 {
    let Filter = filter;
    1
}

struct Filter;

fn main() {}
