use cachemacro::cached;

#[cached()]
async fn f(id: u32) -> Result<u32, String> {
    if id == 0 {
        return Err("zero");
    }
    Ok(id.to_string())
}

fn main() {}
