//! Trait methods that return a future instead of being `async`: required, provided, and under `#[cache_config]`.
use std::future::Future;

use cachemacro::{Cache, cache_config, cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{Calls, assert_send, run};

static CALLS: Calls = Calls::new();

trait Source {
    fn required(&self, id: u32) -> impl Future<Output = Result<u32, String>> + Send;

    fn put(&self, id: u32, value: u32) -> impl Future<Output = Result<u32, String>> + Send;

    fn delete(&self, id: u32) -> impl Future<Output = ()> + Send;

    #[cached(prefix = "provided", key = "{id}:{name}", entry = provided_entry)]
    fn provided(&self, id: u32, name: &str) -> impl Future<Output = Option<String>> + Send
    where
        Self: Sync,
    {
        async move {
            CALLS.add();
            (id > 0).then(|| format!("{name}{}", self.base()))
        }
    }

    fn base(&self) -> u32;
}

struct Plain(u32);

impl Source for Plain {
    #[cached(prefix = "required", key = "{self.0}:{id}")]
    fn required(&self, id: u32) -> impl Future<Output = Result<u32, String>> + Send {
        async move {
            CALLS.add();
            if id == 0 { Err("zero".to_owned()) } else { Ok(id + self.0) }
        }
    }

    #[cache_put(prefix = "required", key = "{self.0}:{id}")]
    fn put(&self, id: u32, value: u32) -> impl Future<Output = Result<u32, String>> + Send {
        async move { if id == 0 { Err("zero".to_owned()) } else { Ok(value) } }
    }

    #[cache_evict(prefix = "required", key = "{self.0}:{id}")]
    fn delete(&self, id: u32) -> impl Future<Output = ()> + Send {
        async move {
            let _ = id;
        }
    }

    fn base(&self) -> u32 {
        self.0
    }
}

struct Configured {
    cache: Cache,
}

#[cache_config(prefix = "configured", cache = self.cache)]
impl Source for Configured {
    #[cached(key = "{id}", entry = required_entry)]
    fn required(&self, id: u32) -> impl Future<Output = Result<u32, String>> + Send {
        async move {
            CALLS.add();
            Ok(id)
        }
    }

    #[cache_put(entry = self.required_entry(id))]
    fn put(&self, id: u32, value: u32) -> impl Future<Output = Result<u32, String>> + Send {
        async move {
            let _ = id;
            Ok(value)
        }
    }

    #[cache_evict(entry = self.required_entry(id))]
    fn delete(&self, id: u32) -> impl Future<Output = ()> + Send {
        async move {
            let _ = id;
        }
    }

    fn base(&self) -> u32 {
        9
    }
}

#[test]
fn runs() {
    run(async {
        let (plain, configured) = (Plain(1), Configured { cache: Cache::memory() });
        let unpolled = assert_send(plain.required(1));
        assert_eq!(CALLS.count(), 0, "nothing runs before the first poll");
        drop(unpolled);
        for _ in 0..2 {
            assert_eq!(assert_send(plain.required(1)).await, Ok(2));
            assert_eq!(assert_send(plain.provided(1, "x")).await.as_deref(), Some("x1"));
            assert_eq!(assert_send(configured.required(1)).await, Ok(1));
            assert_eq!(assert_send(configured.provided(1, "x")).await.as_deref(), Some("x9"));
            assert_eq!(CALLS.count(), 4);
        }
        assert_eq!(
            (plain.required(0).await, plain.required(0).await),
            (Err("zero".to_owned()), Err("zero".to_owned()))
        );
        assert_eq!(CALLS.count(), 6);
        assert!(Plain::provided_entry(1, "x").has().await.unwrap());

        assert_send(plain.put(1, 7)).await.unwrap();
        assert_eq!(plain.required(1).await, Ok(7));
        plain.put(0, 7).await.unwrap_err();
        assert_send(plain.delete(1)).await;
        assert_eq!(plain.required(1).await, Ok(2), "evicted, so loaded");

        assert_eq!(configured.required_entry(1).get().await.unwrap(), Some(1));
        assert_send(configured.put(1, 7)).await.unwrap();
        assert_eq!(configured.required_entry(1).get().await.unwrap(), Some(7));
        assert_eq!(configured.cache.stats().total.puts, 1, "in its own cache");
        assert_send(configured.delete(1)).await;
        assert_eq!(configured.required_entry(1).get().await.unwrap(), None);
    });
}
