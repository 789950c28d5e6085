use cachemacro::cache_put;

#[cache_put(prefix = "user", key = "{id}", on_err = "delete", on_evict_error = true)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
