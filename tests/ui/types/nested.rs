use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Option<Result<u32, String>> {
    Some(Ok(id))
}

fn main() {}
