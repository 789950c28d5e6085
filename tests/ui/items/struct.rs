use cachemacro::cached;

#[cached]
struct User;

fn main() {}
