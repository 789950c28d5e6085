use cachemacro::cached;

#[cached(entry = f_entry, key = build(id).await)]
async fn f(id: u32) -> u32 {
    id
}

async fn build(id: u32) -> u32 {
    id
}

fn main() {}
