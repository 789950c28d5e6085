use cachemacro::cached;

#[cached(key = |id: u64| id)]
async fn f(id: u64) -> u64 {
    id
}

#[cached(tags = |id: u64, name: String| [format!("{id}{name}")])]
async fn g(id: u64, name: String) -> usize {
    name.len() + id as usize
}

fn main() {}
