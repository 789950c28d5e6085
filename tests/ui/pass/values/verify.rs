//! `verify` in every form, with what goes beside it.

use std::sync::Arc;

use cachemacro::{Cache, cache_config, cached};
use cachemacro_tests::attributes::run;

struct Users {
    cache: Cache,
}

fn near(one: &f64, other: &f64) -> bool {
    (one - other).abs() < 0.1
}

#[cached(verify = "100%", within = "60s", verify_by = near, on_inconsistent = "evict", entry = weight_entry)]
async fn weight(id: u64) -> Option<f64> {
    (id > 0).then_some(0.5)
}

#[cached(verify = "0.1%", verify_by = near, unless = *result < 0.0, refresh = "80%, background")]
async fn behind(id: u64) -> Result<Option<f64>, String> {
    Ok((id > 0).then_some(0.5))
}

#[cached(verify = "off")]
async fn trusted(name: &str) -> usize {
    name.len()
}

#[cached(verify = "0.5 %, inline")]
async fn inline(name: String, key: usize) -> usize {
    key + name.len()
}

#[cache_config(verify = "1%", within = "10s", cache = self.cache)]
impl Users {
    #[cached]
    async fn borrows(&self, id: u32) -> u32 {
        id
    }

    #[cached]
    async fn owns(self: Arc<Self>, id: u32) -> u32 {
        id
    }

    #[cached(verify = "2%, inline", key = "{id}")]
    async fn of_any<T: Send + Sync>(&self, id: u32, any: &T) -> u32 {
        let _ = any;
        id
    }
}

#[test]
fn verify() {
    let users = Arc::new(Users { cache: Cache::memory() });
    run(async {
        for _ in 0..3 {
            assert_eq!(weight(1).await, Some(0.5));
            assert_eq!(behind(1).await, Ok(Some(0.5)));
            assert_eq!(trusted("a").await, 1);
            assert_eq!(inline("ab".to_owned(), 1).await, 3);
            assert_eq!(users.borrows(1).await, 1);
            assert_eq!(users.clone().owns(2).await, 2);
            assert_eq!(users.of_any(3, &7).await, 3);
        }
        assert!(weight_entry(1).has().await.unwrap());
    });
    assert_eq!(users.cache.stats().total.misses(), 3, "what they find serves them");
}
