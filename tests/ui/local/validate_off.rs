use cachemacro::cached;

#[cached(local = "off", validate = true)]
async fn f(id: u32) -> u32 {
    id
}

fn main() {}
