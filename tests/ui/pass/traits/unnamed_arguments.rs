//! `_` is no part of a key, neither in a plain function nor in one that `#[async_trait]` gave a name for it.
#![allow(async_fn_in_trait)]

use async_trait::async_trait;
use cachemacro::{cache_config, cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

trait Native {
    async fn native(&self, _: u8, id: u8) -> u8;
}

#[async_trait]
trait Boxed {
    async fn boxed(&self, _: u8, id: u8, (_, page): (u8, u8)) -> u8;
    async fn above(&self, id: u8, _: u8) -> u8;
    async fn below(&self, id: u8, _: u8) -> u8;
    async fn evict(&self, id: u8);
    async fn named(&self, __arg1: u8) -> u8;
}

struct Db;

impl Native for Db {
    #[cached]
    async fn native(&self, _: u8, id: u8) -> u8 {
        CALLS.add();
        id
    }
}

#[cache_config(ttl = "1m")]
#[async_trait]
impl Boxed for Db {
    #[cached]
    async fn boxed(&self, _: u8, id: u8, (_, page): (u8, u8)) -> u8 {
        CALLS.add();
        id + page
    }

    #[cached(entry = above_entry)]
    async fn above(&self, id: u8, _: u8) -> u8 {
        CALLS.add();
        id
    }

    #[cached(key = |id, _| id, entry = below_entry)]
    async fn below(&self, id: u8, _: u8) -> u8 {
        CALLS.add();
        id
    }

    #[cache_evict(entry = Self::above_entry(id))]
    #[cache_evict(entry = Self::below_entry(id))]
    async fn evict(&self, id: u8) {}

    #[cached]
    async fn named(&self, __arg1: u8) -> u8 {
        CALLS.add();
        __arg1
    }
}

struct Other;

#[async_trait]
trait Below {
    async fn read(&self, id: u8, _: u8) -> u8;
    async fn evict(&self, id: u8);
}

#[async_trait]
#[cache_config(ttl = "1m")]
impl Below for Other {
    #[cached(entry = read_entry)]
    async fn read(&self, id: u8, _: u8) -> u8 {
        CALLS.add();
        id
    }

    #[cache_evict(entry = Self::read_entry(id))]
    async fn evict(&self, id: u8) {}
}

#[test]
fn runs() {
    run(async {
        for other in 0..2 {
            assert_eq!(Db.native(other, 1).await, 1);
            assert_eq!(Db.boxed(other, 1, (other, 3)).await, 4);
            assert_eq!(Db.above(1, other).await, 1);
            assert_eq!(Db.below(1, other).await, 1);
            assert_eq!(Other.read(1, other).await, 1);
        }
        assert_eq!(CALLS.count(), 5);
        assert_eq!((Db.named(1).await, Db.named(2).await), (1, 2));

        Boxed::evict(&Db, 1).await;
        Other.evict(1).await;
        assert!(!Db::above_entry(1).has().await.unwrap());
        let before = CALLS.count();
        Db.above(1, 7).await;
        Db.below(1, 7).await;
        Other.read(1, 7).await;
        assert_eq!(CALLS.count(), before + 3, "they were evicted");
    });
}
