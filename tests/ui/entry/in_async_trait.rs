use cachemacro::cached;

#[async_trait::async_trait]
trait Source {
    async fn find(&self, id: u32) -> u32;
}

struct A;

#[async_trait::async_trait]
impl Source for A {
    #[cached(entry = find_entry)]
    async fn find(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
