//! Puts and evicts in traits, native and boxed, and on functions that give a future.
#![allow(async_fn_in_trait, reason = "that the future is `Send` is for the caller to see here")]

use std::sync::Arc;

use async_trait::async_trait;
use cachemacro::{cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{assert_send, run};

#[cached(prefix = "n", key = "{n}", entry = n_entry)]
async fn n(n: u32) -> String {
    n.to_string()
}

trait Native {
    async fn put(&self, id: u32, value: String) -> Result<String, u32>;

    #[cache_evict(entry = n_entry(id), tags = ["x:{result}", "{self.id()}"])]
    async fn evict(&self, id: u32) -> u32 {
        id + self.id()
    }

    fn id(&self) -> u32;
}

struct A;

impl Native for A {
    #[cache_put(entry = n_entry(id))]
    async fn put(&self, id: u32, value: String) -> Result<String, u32> {
        if value.is_empty() { Err(id) } else { Ok(value) }
    }

    fn id(&self) -> u32 {
        7
    }
}

#[async_trait]
trait Boxed {
    async fn put(self: Arc<Self>, (id, value): (u32, String), _: &str) -> String;

    #[cache_evict(prefix = "n", key = "{result}", tags = ["{id}:{result}"])]
    async fn evict(&mut self, id: u32) -> u32 {
        id
    }
}

#[async_trait]
impl Boxed for A {
    #[cache_put(entry = n_entry(id), unless = result == "secret")]
    #[cache_evict(tags = ["{id}:{result}", "x:{value}"])]
    async fn put(self: Arc<Self>, (id, value): (u32, String), _: &str) -> String {
        let _ = id;
        value
    }
}

trait Own {
    async fn own(&self, n: u32) -> u32;

    async fn write_own(&self, n: u32) -> u32;
}

impl Own for A {
    #[cached(prefix = "n", key = "{n}")]
    async fn own(&self, n: u32) -> u32 {
        n
    }

    #[cache_put(prefix = "n", key = "{n}")]
    async fn write_own(&self, n: u32) -> u32 {
        n + 1
    }
}

#[cache_put(entry = n_entry(id))]
fn later(id: u32, value: String) -> impl Future<Output = String> + Send {
    let value = value + "!";
    async move { value }
}

#[test]
fn runs() {
    run(async {
        let stored = async |id| n_entry(id).get().await.unwrap();
        Native::put(&A, 1, "a".to_owned()).await.unwrap();
        assert_eq!(stored(1).await.as_deref(), Some("a"));
        assert_eq!(Native::evict(&A, 1).await, 8);
        assert_eq!(stored(1).await, None);
        assert_send(Boxed::put(Arc::new(A), (1, "b".to_owned()), "x")).await;
        assert_eq!(stored(1).await.as_deref(), Some("b"));
        assert_eq!(assert_send(Boxed::evict(&mut A, 1)).await, 1);
        assert_eq!(stored(1).await, None);
        assert_eq!(assert_send(later(1, "c".to_owned())).await, "c!");
        assert_eq!(stored(1).await.as_deref(), Some("c!"));
        assert_eq!(n(1).await, "c!");
        assert_eq!(A.own(1).await, 1);
        assert_eq!(A.write_own(1).await, 2);
        assert_eq!(A.own(1).await, 2, "written");
        assert_eq!(stored(1).await, None, "its namesake elsewhere is evicted");
    });
}
