use cachemacro::cached;

#[cached(key = async |id, name| id)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
