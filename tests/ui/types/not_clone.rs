use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Result<Option<User>, String> {
    Ok(Some(User { id }))
}

#[derive(serde::Serialize, serde::Deserialize)]
struct User {
    id: u32,
}

fn main() {}
