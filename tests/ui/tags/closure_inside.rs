use cachemacro::cached;

#[cached(tags = [|id, name| "x"])]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
