//! The facade under another path.
mod vendor {
    pub mod caching {
        pub use cachemacro::*;
    }
}

use cachemacro_tests::attributes::run;
use vendor::caching::{cache_config, cache_evict, cache_put, cached as remembered_by_name};

#[vendor::caching::cached(crate = vendor::caching, prefix = "renamed", entry = of_entry, tags = ["t:{n}"])]
async fn of(n: u8) -> u8 {
    n
}

#[cache_put(crate = vendor::caching, entry = of_entry(n))]
#[cache_evict(crate = vendor::caching, tags = ["u:{result}"])]
async fn put(n: u8) -> u8 {
    n + 1
}

#[remembered_by_name(crate = crate::hygiene::renamed::vendor::caching)]
async fn through_a_renamed_import(n: u8) -> u8 {
    n
}

struct Service;

#[cache_config(crate = vendor::caching, prefix = "service")]
impl Service {
    #[vendor::caching::cached(key = "{n}")]
    async fn of(&self, n: u8) -> u8 {
        n
    }
}

#[test]
fn runs() {
    run(async {
        assert_eq!((of(1).await, put(1).await, of(1).await), (1, 2, 2));
        assert_eq!(through_a_renamed_import(1).await, 1);
        assert_eq!(Service.of(1).await, 1);
        assert_eq!(cachemacro::Cache::current().get::<u8>("service", 1).await.unwrap(), Some(1));
    });
}
