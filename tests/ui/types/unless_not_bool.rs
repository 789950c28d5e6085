use cachemacro::cached;

#[cached(unless = *result)]
async fn f(id: u32, name: String) -> Option<u32> {
    let _ = name;
    Some(id)
}

#[cached(unless = result.len(), entry = g_entry)]
async fn g(name: String) -> String {
    name
}

fn main() {}
