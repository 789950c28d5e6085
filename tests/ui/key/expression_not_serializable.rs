use cachemacro::cached;

#[cached(key = Key(id))]
async fn f(id: u32) -> u32 {
    id
}

struct Key(u32);

fn main() {}
