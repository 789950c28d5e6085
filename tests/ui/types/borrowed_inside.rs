use cachemacro::cached;

#[cached()]
async fn f(name: &str) -> Result<Vec<std::borrow::Cow<'_, str>>, String> {
    Ok(vec![name.into()])
}

fn main() {}
