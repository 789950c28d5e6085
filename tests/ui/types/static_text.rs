use cachemacro::{cache_put, cached};

#[cached()]
async fn f(id: u32) -> Result<Option<&'static str>, String> {
    Ok((id > 0).then_some("x"))
}

#[cache_put(prefix = "g", key = "{id}")]
async fn g(id: u32) -> &'static [u8] {
    let _ = id;
    &[1]
}

#[cached()]
async fn h(id: u32) -> std::collections::HashMap<u32, (u32, Box<&'static str>)> {
    [(id, (id, Box::new("x")))].into()
}

fn main() {}
