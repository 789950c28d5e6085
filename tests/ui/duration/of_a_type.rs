use std::time::Duration;

use cachemacro::cached;

trait Waits {
    const WAIT: Duration;
}

struct Service;

impl Service {
    const WAIT: Duration = Duration::from_secs(1);
    const VERSION: u32 = 1;

    #[cached(wait = Self::WAIT, version = Self::VERSION, none_ttl = Self::WAIT * 2)]
    async fn f(&self, id: u32) -> Option<u32> {
        Some(id)
    }

    // By its name the type can be had.
    #[cached(wait = Service::WAIT, version = Service::VERSION)]
    async fn g(&self, id: u32) -> u32 {
        id
    }
}

#[cached(wait = T::WAIT, version = N)]
async fn h<T: Waits, const N: u32>() -> u32 {
    N
}

fn main() {}
