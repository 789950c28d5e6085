use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> User {
    User { id }
}

#[derive(Clone, serde::Serialize)]
struct User {
    id: u32,
}

fn main() {}
