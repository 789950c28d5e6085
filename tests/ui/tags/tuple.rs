use cachemacro::cached;

#[cached(tags = ("users", format!("user:{id}")))]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
