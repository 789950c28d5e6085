use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Result<Vec<User>, String> {
    Ok(vec![User { id }])
}

#[derive(Clone, serde::Deserialize)]
struct User {
    id: u32,
}

fn main() {}
