use cachemacro::cached;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct User {
    name: String,
    premium: bool,
}

#[cached(unless = |user| user.name.is_empty(), ttl = |user: &User| std::time::Duration::from_secs(user.name.len() as u64))]
async fn rules(id: u32) -> Option<User> {
    Some(User { name: id.to_string(), premium: false })
}

#[cached(unless = Vec::is_empty, ttl = |_| std::time::Duration::from_secs(7))]
async fn function(id: u32) -> Vec<u32> {
    vec![id]
}

#[cached(
    unless = |User { name, .. }| name.is_empty(),
    ttl = |user| { if user.premium { std::time::Duration::MAX } else { std::time::Duration::ZERO } }
)]
async fn taken_apart() -> Option<User> {
    None
}

#[cached(tags = |user| [format!("name:{}", user.name)])]
async fn tags_of_none() -> Option<User> {
    None
}

#[cached(tags = |user| [format!("name:{}", user.name)])]
async fn tags_of_two(id: u32, name: String) -> Option<User> {
    Some(User { name: name + &id.to_string(), premium: false })
}

#[cached(tags = |user: &User| [format!("name:{}", user.name)])]
async fn tags_by_type(id: u32) -> Option<User> {
    Some(User { name: id.to_string(), premium: false })
}

#[cached(tags = |User { name, .. }| [name.clone()])]
async fn tags_by_pattern(id: u32) -> Option<User> {
    Some(User { name: id.to_string(), premium: false })
}

#[cached(tags = |value| [format!("name:{value}")])]
async fn tags_by_name(id: u32) -> u32 {
    id
}

#[cached(tags = |result| result.clone())]
async fn tags_by_result(id: u32) -> Vec<String> {
    vec![id.to_string()]
}

fn main() {}
