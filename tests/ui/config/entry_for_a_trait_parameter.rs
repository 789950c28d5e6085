use cachemacro::{cache_config, cached};

trait Source<T> {
    async fn find(&self, id: T) -> u32;
}

struct A;

#[cache_config]
impl<T: Into<u32> + serde::Serialize> Source<T> for A {
    #[cached(entry = find_entry)]
    async fn find(&self, id: T) -> u32 {
        id.into()
    }
}

fn main() {}
