use cachemacro::cached;

#[cached]
fn f(id: u32) -> u32 {
    id
}

fn caller() -> u32 {
    f(1)
}

fn main() {}
