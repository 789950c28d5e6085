use cachemacro::cache_evict;

struct Name(String);

fn text(name: Name) -> String {
    name.0
}

#[cache_evict(tags = [name.unwrap_or_default()])]
async fn f(id: u32, name: Option<String>) -> Option<u32> {
    drop(name);
    Some(id)
}

#[cache_evict(tags = [text(name)])]
async fn g(id: u32, name: Name) -> Option<u32> {
    drop(name);
    Some(id)
}

fn main() {}
