use cachemacro::cache_evict;

#[cache_evict(entries = |ids| ids)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
