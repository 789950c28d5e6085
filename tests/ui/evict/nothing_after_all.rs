use cachemacro::cache_evict;

#[cache_evict(tags = [])]
async fn f(id: u32) -> u32 {
    id
}

#[cache_evict(all = false)]
async fn g(id: u32) -> u32 {
    id
}

#[cache_evict(tags = [""])]
async fn h(id: u32) -> u32 {
    id
}

fn main() {}
