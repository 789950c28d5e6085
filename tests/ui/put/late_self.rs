use cachemacro::cache_put;

struct Service {
    tenant: String,
}

impl Service {
    #[cache_put(prefix = "user", key = "{self.tenant}:{result}")]
    async fn early_parts_are_fine(&mut self) -> u32 {
        1
    }

    #[cache_put(prefix = "user", key = (self.tenant.clone(), result))]
    async fn late_parts_are_not(&mut self) -> u32 {
        1
    }
}

fn main() {}
