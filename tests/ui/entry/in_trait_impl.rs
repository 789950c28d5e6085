use cachemacro::cached;

trait Source {
    async fn find(&self, id: u32) -> u32;
}

struct A;

impl Source for A {
    #[cached(entry = find_entry)]
    async fn find(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
