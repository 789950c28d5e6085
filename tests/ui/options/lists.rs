use cachemacro::cached;

#[cached(key = id, page)]
async fn f(id: u32, page: u32) -> u32 {
    id + page
}

#[cached(tags = "users", "all")]
async fn g(id: u32) -> u32 {
    id
}

#[cached(key = "{id}", "{page}")]
async fn h(id: u32, page: u32) -> u32 {
    id + page
}

fn main() {}
