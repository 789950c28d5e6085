use cachemacro::cached;

struct User;

#[cached]
impl User {}

fn main() {}
