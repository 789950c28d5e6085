use cachemacro::cached;

#[cached(entry = f_entry)]
async fn f(id: u32, name: &str) -> u32 {
    id + name.len() as u32
}

async fn caller(number: u64) {
    let _ = f_entry(number, 5);
    let _ = f_entry(1);
}

fn main() {}
