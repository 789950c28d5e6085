#![allow(async_fn_in_trait, reason = "that the future is `Send` is for the caller to see here")]

use async_trait::async_trait;
use cachemacro::{Value, cache_config, cache_put, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

trait Source {
    type Id: serde::Serialize + Send + Sync;
    type Out: Value + Default;
    type Error: Send;
    const SCALE: u32;

    async fn find(&self, id: Self::Id) -> Self::Out;

    #[cached]
    async fn all(&self, scale: u32) -> Result<Vec<Self::Out>, Self::Error> {
        CALLS.add();
        Ok((0..Self::SCALE * scale).map(|_| Self::Out::default()).collect())
    }
}

struct A;

impl Source for A {
    type Id = (u32, String);
    type Out = Option<u32>;
    type Error = ();
    const SCALE: u32 = 2;

    #[cached(cache_none)]
    async fn find(&self, id: Self::Id) -> Self::Out {
        CALLS.add();
        (id.0 > 0).then_some(id.0)
    }
}

struct B<T>(T);

#[cache_config(prefix = "b")]
impl<T: Value + Default + serde::Serialize> Source for B<T> {
    type Id = (T, String);
    type Out = Vec<T>;
    type Error = ();
    const SCALE: u32 = 3;

    #[cached(key = |id: &Self::Id| (Self::SCALE, &id.1), entry = b_entry)]
    async fn find(&self, id: Self::Id) -> Self::Out {
        CALLS.add();
        vec![id.0, self.0.clone()]
    }
}

#[async_trait]
trait Generic<T: Value> {
    async fn get<U: ToString + Send + 'static>(&self, id: T, other: U) -> Result<T, String>
    where
        T: 'async_trait;

    #[cached(prefix = "twice", key = "{id:?}")]
    async fn twice(&self, id: T) -> Vec<T>
    where
        T: std::fmt::Debug + 'async_trait,
        Self: Sync,
    {
        CALLS.add();
        vec![id.clone(), id]
    }
}

#[async_trait]
impl<T: Value + ToString> Generic<T> for A {
    #[cached(key = |id, other| (id.to_string(), other.to_string()))]
    async fn get<U: ToString + Send + 'static>(&self, id: T, other: U) -> Result<T, String>
    where
        T: 'async_trait,
    {
        CALLS.add();
        if other.to_string().is_empty() { Err("empty".to_owned()) } else { Ok(id) }
    }

    #[cache_put(prefix = "twice", key = "{id:?}")]
    async fn twice(&self, id: T) -> Vec<T>
    where
        T: std::fmt::Debug + 'async_trait,
    {
        CALLS.add();
        vec![id]
    }
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!(A.find((1, "x".to_owned())).await, Some(1));
            assert_eq!(A.find((0, "x".to_owned())).await, None);
            assert_eq!(A.all(2).await.unwrap().len(), 4);
            assert_eq!(A.get(1u8, "x").await, Ok(1));
            assert_eq!(A.get(1u8, 'x').await, Ok(1));
            assert_eq!(A.get(1u16, "x").await, Ok(1));
        }
        assert_eq!(CALLS.count(), 6);
        assert_eq!(A.twice(1u8).await, [1]);
        assert_eq!(B(2u8).find((1, "x".to_owned())).await, [1, 2]);
        assert_eq!(B::<u8>::b_entry((9, "x".to_owned())).get().await.unwrap(), Some(vec![1, 2]));
    });
}
