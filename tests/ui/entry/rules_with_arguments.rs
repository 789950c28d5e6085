use cachemacro::cached;

#[cached(entry = f_entry, unless = |value| *value == id, tags = |value| [format!("{name}{value}")])]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

fn main() {}
