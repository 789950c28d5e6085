//! `#[cache_config]` without options, with trailing commas, over nothing, and on other people's attributes.
use cachemacro::{cache_config, cache_put, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct A;
struct B<const N: usize>;

#[cache_config]
impl A {}

#[rustfmt::skip] // the trailing commas are the case
#[cache_config(ttl = "1m",)]
impl A {
    #[expect(dead_code, reason = "a constant is no function")]
    const N: u32 = 1;

    #[cached(prefix = "a", key = "{id}",)]
    #[inline]
    async fn one(&self, id: u32) -> u32 {
        CALLS.add();
        id
    }

    #[cached]
    async fn two(id: u32) -> u32 {
        CALLS.add();
        id
    }

    fn plain(&self) -> u32 {
        1
    }
}

#[cache_config(
    prefix = "b",
    jitter = "1%",
    wait = "1s",
    lease_limit = "2s",
    version = 1,
    cache_none = true,
    on_err = "evict"
)]
impl<const N: usize> B<N> {
    #[cached(key = "one", cache_none = false)]
    async fn one(&self) -> Option<usize> {
        CALLS.add();
        (N > 1).then_some(N)
    }

    #[cached(key = "two")]
    async fn two(&self) -> Option<usize> {
        CALLS.add();
        None
    }
}

static MIXED: Calls = Calls::new();

/// Each default applies where it can.
struct Mixed;

#[cache_config(prefix = "mixed", cache_none, none_ttl = "1m", cache_err)]
impl Mixed {
    #[cached(key = "plain")]
    async fn plain(&self) -> u32 {
        MIXED.add();
        1
    }

    #[cached(key = "option", entry = option_entry)]
    async fn option(&self) -> Option<u32> {
        MIXED.add();
        None
    }

    #[cached(key = "result", entry = result_entry)]
    async fn result(&self) -> Result<u32, String> {
        MIXED.add();
        Err("as asked".to_owned())
    }

    #[cached(key = "both", cache_none = false, cache_err = false)]
    async fn both(&self, error: bool) -> Result<Option<u32>, std::fmt::Error> {
        MIXED.add();
        if error { Err(std::fmt::Error) } else { Ok(None) }
    }

    #[cache_put(key = "option", cache_none = false)]
    async fn put(&self) -> Option<u32> {
        None
    }
}

#[cache_config(cache_none = false)]
impl Mixed {
    #[cached(none_ttl = "1m")]
    async fn none(&self) -> Option<u32> {
        MIXED.add();
        None
    }
}

#[test]
fn defaults_apply_where_they_can() {
    run(async {
        for _ in 0..2 {
            assert_eq!((Mixed.plain().await, Mixed.option().await, Mixed.none().await), (1, None, None));
            assert_eq!(Mixed.result().await, Err("as asked".to_owned()));
        }
        assert_eq!(MIXED.count(), 4);
        for error in [false, true, false] {
            assert_eq!(Mixed.both(error).await, if error { Err(std::fmt::Error) } else { Ok(None) });
        }
        assert_eq!(MIXED.count(), 7, "what a function says itself replaces the default");
        Mixed.put().await;
        assert!(!Mixed::option_entry().has().await.unwrap());
    });
}

struct Limited {
    most: u32,
    open: bool,
}

/// Rules that hold for every function, unless it has its own.
#[cache_config(prefix = "limited", condition = self.open, unless = *result == 0)]
impl Limited {
    #[cached(key = "load:{id}", entry = load_entry)]
    async fn load(&self, id: u32) -> u32 {
        id.min(self.most)
    }

    #[cached(key = "own:{id}", condition = id != 3, unless = *result == 2, entry = own_entry)]
    async fn own(&self, id: u32) -> u32 {
        id
    }

    #[cache_put(key = "load:{id}")]
    async fn put(&self, id: u32, value: u32) -> u32 {
        let _ = id;
        value
    }
}

#[test]
fn rules_are_defaults_too() {
    run(async {
        let (limited, closed) = (Limited { most: 5, open: true }, Limited { most: 5, open: false });
        let stored = async |id: u32| Limited::load_entry(id).get().await.unwrap();
        limited.load(0).await;
        limited.load(1).await;
        closed.load(2).await;
        assert_eq!((stored(0).await, stored(1).await, stored(2).await), (None, Some(1), None));
        closed.put(1, 4).await;
        assert_eq!(stored(1).await, Some(1), "the condition is false");
        limited.put(1, 4).await;
        assert_eq!(stored(1).await, Some(4));
        limited.put(1, 0).await;
        assert_eq!(stored(1).await, None, "what is not stored evicts");
        for id in 0..4 {
            closed.own(id).await;
        }
        let mut own = vec![];
        for id in 0..4 {
            own.extend(Limited::own_entry(id).get().await.unwrap());
        }
        assert_eq!(own, [0, 1], "its own rules replaced both");
    });
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!((A.one(1).await, A::two(1).await, A.plain()), (1, 1, 1));
            assert_eq!((B::<1>.one().await, B::<2>.one().await), (None, Some(2)));
            assert_eq!((B::<1>.two().await, B::<2>.two().await), (None, None));
        }
        assert_eq!(CALLS.count(), 7, "only the `None` of `B::<1>.one` is not stored");
    });
}
