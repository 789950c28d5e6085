use cachemacro::cached;

trait Source {
    #[cached]
    async fn find(&self, id: u32) -> u32;
}

fn main() {}
