//! `#[cache_config]` above and below `#[async_trait]`, on traits, and entries of trait methods.
#![allow(async_fn_in_trait, reason = "that the future is `Send` is for the caller to see here")]

use async_trait::async_trait;
use cachemacro::{Cache, cache_config, cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[async_trait]
trait Boxed: Send + Sync {
    async fn find(&self, (org, id): (u32, u32), name: &str) -> Result<Option<u32>, String>;

    async fn delete(&self, org: u32, id: u32, name: &str) -> Result<(), String>;
}

struct Above(Cache);
struct Below(Cache);
struct Generic<T>(T);

#[cache_config(prefix = "above", cache = self.0)]
#[async_trait]
impl Boxed for Above {
    #[cached(key = "{org}:{id}:{name}", entry = find_entry)]
    async fn find(&self, (org, id): (u32, u32), name: &str) -> Result<Option<u32>, String> {
        CALLS.add();
        Ok((!name.is_empty()).then_some(org + id))
    }

    #[cache_evict(entry = self.find_entry((org, id), name))]
    async fn delete(&self, org: u32, id: u32, name: &str) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
#[cache_config(cache = self.0)]
impl Boxed for Below {
    #[cached(entry = find_entry)]
    async fn find(&self, (org, id): (u32, u32), name: &str) -> Result<Option<u32>, String> {
        CALLS.add();
        Ok((!name.is_empty()).then_some(org + id))
    }

    #[cache_evict(entry = self.find_entry((org, id), name))]
    async fn delete(&self, org: u32, id: u32, name: &str) -> Result<(), String> {
        Ok(())
    }
}

trait Native<K> {
    async fn find(&self, id: K) -> u64;
}

#[cache_config]
impl<T> Native<T> for Generic<T>
where
    T: Into<u64> + Clone + Send + Sync + serde::Serialize,
{
    #[cached(entry = pub(super) of_entry)]
    async fn find(&self, id: T) -> u64 {
        CALLS.add();
        id.into() + self.0.clone().into()
    }
}

#[cache_config(prefix = "provided", ttl = "1m")]
trait Provided {
    #[cached(key = "{id}", entry = provided_entry)]
    async fn provided(&self, id: u32) -> u32 {
        CALLS.add();
        id + self.base()
    }

    fn base(&self) -> u32;
}

#[cache_config(prefix = "boxed-provided")]
#[async_trait]
trait BoxedProvided: Sync {
    #[cached(key = "{id}")]
    async fn provided(&self, id: u32) -> u32 {
        CALLS.add();
        id + 1
    }
}

#[async_trait]
#[cache_config(prefix = "boxed-below")]
trait BoxedBelow: Sync {
    #[cached(key = "{id}")]
    async fn below(&self, id: u32) -> u32 {
        CALLS.add();
        id + 2
    }
}

impl Provided for Above {
    fn base(&self) -> u32 {
        1
    }
}

impl BoxedProvided for Above {}
impl BoxedBelow for Above {}

#[test]
fn runs() {
    run(async {
        let (above, below) = (Above(Cache::memory()), Below(Cache::memory()));
        for _ in 0..2 {
            assert_eq!(above.find((1, 2), "x").await, Ok(Some(3)));
            assert_eq!(below.find((1, 2), "x").await, Ok(Some(3)));
            assert_eq!(Generic(1u8).find(2u8).await, 3);
            assert_eq!(Generic(1u16).find(2u16).await, 3);
            assert_eq!(Provided::provided(&above, 1).await, 2);
            assert_eq!(BoxedProvided::provided(&above, 1).await, 2);
            assert_eq!(above.below(1).await, 3);
            assert_eq!(CALLS.count(), 7);
        }
        assert!(above.find_entry((1, 2), "x").has().await.unwrap());
        assert!(below.find_entry((1, 2), "x").has().await.unwrap());
        above.delete(1, 2, "x").await.unwrap();
        below.delete(1, 2, "x").await.unwrap();
        assert!(!above.find_entry((1, 2), "x").has().await.unwrap());
        assert!(!below.find_entry((1, 2), "x").has().await.unwrap());
        assert!(Generic::<u8>::of_entry(&2).has().await.unwrap());
        assert!(!Generic::<u32>::of_entry(&2).has().await.unwrap());
        assert!(Above::provided_entry(1).has().await.unwrap());
    });
}
