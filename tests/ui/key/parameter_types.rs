use cachemacro::cached;

#[cached(key = |id: u64| id)]
async fn f(id: u64) -> u64 {
    id
}

#[cached(tags = |id: u64, name: String| [format!("{id}{name}")])]
async fn g(id: u64, name: String) -> usize {
    name.len() + id as usize
}

#[cached(unless = |value: Vec<u8>| value.is_empty())]
async fn h(id: u64) -> Vec<u8> {
    vec![id as u8]
}

fn main() {}
