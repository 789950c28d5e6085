use cachemacro::cached;

#[cached(tags = vec_of_numbers())]
async fn f(id: u32) -> Option<u32> {
    Some(id)
}

fn vec_of_numbers() -> Vec<u32> {
    vec![]
}

fn main() {}
