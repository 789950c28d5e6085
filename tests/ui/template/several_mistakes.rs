use cachemacro::cached;

#[cached(key = "{self.x}:{m}:{n:>3}:{}", tags = ["a}{idd}", "{id#}{nmae}{"])]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
