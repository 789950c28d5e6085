use cachemacro::{cache_evict, cached};

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    name: Option<String>,
}

#[cached(tags = ["{result}"])]
async fn not_display(id: u32) -> User {
    User { name: Some(id.to_string()) }
}

#[cached(tags = ["all", "{result.name}"], entry = field_entry)]
async fn field(id: u32) -> User {
    User { name: Some(id.to_string()) }
}

#[cached(tags = ["{result.nmae}"])]
async fn no_such_field(id: u32) -> User {
    User { name: Some(id.to_string()) }
}

#[cached(tags = ["{reslt.name}"])]
async fn misspelt(id: u32) -> User {
    User { name: Some(id.to_string()) }
}

#[cache_evict(tags = ["{result}"])]
async fn opaque(id: u32) -> impl Sized {
    id
}

fn main() {}
