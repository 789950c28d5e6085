use cachemacro::{cache_put, cached};

#[cached(search = "{result}")]
async fn template(id: u32) -> String {
    id.to_string()
}

#[cached(search = ["{result}"])]
async fn template_in_list(id: u32) -> String {
    id.to_string()
}

#[cached(search = [])]
async fn nothing(id: u32) -> String {
    id.to_string()
}

#[cached(search = [result, id])]
async fn argument(id: u32) -> String {
    id.to_string()
}

#[cached(search = [format!("{result}{id}")])]
async fn argument_beside_result(id: u32) -> String {
    id.to_string()
}

#[cached(search = [result], sealed)]
async fn sealed(id: u32) -> String {
    id.to_string()
}

#[cached(search = [result])]
fn sync(id: u32) -> String {
    id.to_string()
}

#[cached(search = |id| id.to_string())]
async fn closure(id: u32) -> String {
    id.to_string()
}

#[cache_put(prefix = "text", key = "{id}", search = [result])]
async fn put(id: u32) -> String {
    id.to_string()
}

struct Opaque;

#[cached(search = [&result.0])]
async fn opaque(id: u32) -> (Vec<u8>, u32) {
    let _ = Opaque;
    (Vec::new(), id)
}

fn main() {}
