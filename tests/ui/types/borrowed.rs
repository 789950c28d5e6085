use cachemacro::cached;

#[cached()]
async fn f(name: &str) -> Option<&str> {
    name.get(1..)
}

fn main() {}
