use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Result<Vec<impl std::fmt::Display>, String> {
    Ok(vec![id])
}

fn main() {}
