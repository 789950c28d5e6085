use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Option<Rows> {
    Some(Ok(id))
}

type Rows = Result<u32, String>;

fn main() {}
