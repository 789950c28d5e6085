use cachemacro::{cache_evict, cached};

#[cached()]
async fn f(id: u32) -> ! {
    panic!("{id}")
}

#[cache_evict(tags = ["f"])]
async fn g() -> ! {
    std::future::pending().await
}

fn main() {}
