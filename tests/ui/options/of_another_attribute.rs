use cachemacro::cached;

#[cached(all, before, on_err = "evict", entries = [])]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
