//! `#[cache_config]` without options, with trailing commas, over nothing, and on other people's attributes.
use cachemacro::{cache_config, cached};
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
    deadline = "2s",
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
