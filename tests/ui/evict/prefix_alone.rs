use cachemacro::cache_evict;

#[cache_evict(prefix = "user")]
async fn f(id: u32) {
    let _ = id;
}

fn main() {}
