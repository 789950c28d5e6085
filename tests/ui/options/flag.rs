use cachemacro::cached;

#[cached(cache_none = "yes", cache_err = 1)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
