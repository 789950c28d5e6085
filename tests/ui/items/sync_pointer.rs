use cachemacro::cached;

use std::pin::Pin;

#[cached]
fn f(id: u32) -> Pin<Box<dyn Future<Output = u32>>> {
    let later = async move { id };
    Box::pin(later)
}

fn main() {}
