use cachemacro::cached;

#[cached(key = only_id)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn only_id(id: &u32) -> u32 {
    *id
}

fn main() {}
