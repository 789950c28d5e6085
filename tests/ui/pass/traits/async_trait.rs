use std::sync::Arc;

use async_trait::async_trait;
use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, assert_send, run};

static CALLS: Calls = Calls::new();

#[async_trait]
trait Source: Send + Sync {
    async fn required(&self, id: u32, name: &str) -> Result<u32, String>;

    async fn taken_apart(&self, (a, b): (u32, u32), mut c: u32) -> u32;

    async fn owned(self: Arc<Self>, id: u32) -> Option<u32>;

    async fn forget(&self, id: u32) -> Result<(), String>;

    #[cached(prefix = "provided", key = "{id}")]
    async fn provided(&self, id: u32) -> u32 {
        CALLS.add();
        self.base() + id
    }

    fn base(&self) -> u32;
}

struct A(u32);

#[async_trait]
impl Source for A {
    #[cached(prefix = "a", key = "{self.0}:{id}:{name}", tags = ["a:{id}"], unless = *result > id)]
    async fn required(&self, id: u32, name: &str) -> Result<u32, String> {
        CALLS.add();
        let length = u32::try_from(name.len()).map_err(|error| error.to_string())?;
        Ok(length + self.0)
    }

    #[cached(key = "{a}:{b}:{c}")]
    async fn taken_apart(&self, (a, b): (u32, u32), mut c: u32) -> u32 {
        CALLS.add();
        c += a + b + self.0;
        c
    }

    #[cached]
    async fn owned(self: Arc<Self>, id: u32) -> Option<u32> {
        CALLS.add();
        Some(self.0 + id)
    }

    #[cache_evict(tags = ["a:{id}"])]
    async fn forget(&self, id: u32) -> Result<(), String> {
        if id == 0 { Err("no".to_owned()) } else { Ok(()) }
    }

    fn base(&self) -> u32 {
        self.0
    }
}

struct B;

#[async_trait(?Send)]
trait Local {
    async fn local(&self, id: u32) -> u32;
}

#[async_trait(?Send)]
impl Local for B {
    #[cached]
    async fn local(&self, id: u32) -> u32 {
        CALLS.add();
        *std::rc::Rc::new(id)
    }
}

#[test]
fn runs() {
    run(async {
        let a: Arc<dyn Source> = Arc::new(A(1));
        for _ in 0..2 {
            assert_eq!(assert_send(a.required(9, "ab")).await, Ok(3));
            assert_eq!(a.taken_apart((1, 2), 3).await, 7);
            assert_eq!(a.provided(1).await, 2);
            assert_eq!(Arc::new(A(1)).owned(1).await, Some(2));
            assert_eq!(B.local(1).await, 1);
            assert_eq!(CALLS.count(), 5);
        }
        a.forget(9).await.unwrap();
        assert_eq!(a.required(9, "ab").await, Ok(3));
        assert_eq!(CALLS.count(), 6);
        assert_eq!(a.required(1, "ab").await, Ok(3));
        assert_eq!(a.required(1, "ab").await, Ok(3));
        assert_eq!(CALLS.count(), 8, "3 is more than 1, so it is not stored");
    });
}
