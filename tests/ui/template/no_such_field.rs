use cachemacro::cached;

#[cached(key = "{user.nme}")]
async fn f(user: User) -> u32 {
    user.name
}

struct User {
    name: u32,
}

fn main() {}
