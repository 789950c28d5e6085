use cachemacro::cached;

#[cached()]
async fn f(id: u32, pool: &Pool, callback: impl Fn()) -> u32 {
    let _ = (pool, callback);
    id
}

struct Pool;

fn main() {}
