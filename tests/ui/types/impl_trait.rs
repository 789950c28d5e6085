use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> impl std::fmt::Display {
    id
}

fn main() {}
