use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();
/// Of the functions whose arguments' types are skipped, which a test of their own counts.
static TYPED_CALLS: Calls = Calls::new();

struct Pool;

#[cached(prefix = "skip", skip(pool, _trace), entry = find_entry)]
async fn find(pool: &Pool, id: u32, _trace: &dyn Fn()) -> u32 {
    CALLS.add();
    let Pool = pool;
    id
}

struct Service(Pool);

impl Service {
    #[cached]
    async fn find(&self, id: u32) -> u32 {
        CALLS.add();
        let Pool = self.0;
        id
    }
}

/// The types of the closure and of its future are part of no key, because they are only `skip`ped.
#[cached(prefix = "skip-type", skip(ask), entry = asked_entry)]
async fn asked<T: Clone + Send + Sync + 'static + Into<u64>, F, Fut>(id: T, ask: F) -> u64
where
    T: serde::Serialize,
    F: Fn(u64) -> Fut,
    Fut: Future<Output = u64>,
{
    TYPED_CALLS.add();
    ask(id.into()).await
}

#[cached(prefix = "skip-impl", skip(ask), entry = asked_anonymous_entry)]
async fn asked_anonymous(id: u32, ask: impl Fn(u32) -> u32) -> u32 {
    TYPED_CALLS.add();
    ask(id)
}

/// Beside `key`, `skip` leaves out what is left of the argument: its type.
#[cached(prefix = "skip-key", key = "{id}", skip(ask), entry = asked_by_key_entry)]
async fn asked_by_key<F: Fn(u32) -> u32>(id: u32, ask: F) -> u32 {
    TYPED_CALLS.add();
    ask(id)
}

/// What the function returns, and what an argument that is not skipped says, stays part of the key.
#[cached(prefix = "skip-some", skip(ask))]
async fn returned<T, K: serde::Serialize>(ask: &T, other: Option<K>) -> Option<T>
where
    T: cachemacro::Value,
{
    TYPED_CALLS.add();
    other.is_none().then(|| ask.clone())
}

#[test]
fn types_of_skipped_arguments_are_part_of_no_key() {
    run(async {
        let before = TYPED_CALLS.count();
        for _ in 0..2 {
            assert_eq!(asked(7_u8, async |n| n).await, 7);
            assert_eq!(asked(7_u8, async |n| n + 1).await, 7);
            assert_eq!(asked_anonymous(7, |n| n).await, 7);
            assert_eq!(asked_anonymous(7, |n| n + 1).await, 7);
            assert_eq!(asked_by_key(7, |n| n).await, 7);
            assert_eq!(asked_by_key(7, |n| n + 1).await, 7);
        }
        assert_eq!(TYPED_CALLS.count() - before, 3);
        assert!(asked_entry(&7_u8).has().await.unwrap());
        assert!(asked_anonymous_entry(7).has().await.unwrap());
        assert!(asked_by_key_entry(7).has().await.unwrap());
        let before = TYPED_CALLS.count();
        assert_eq!(asked(7_u16, async |n| n + 1).await, 8);
        assert_eq!(returned(&1_u8, None::<u8>).await, Some(1));
        assert_eq!(returned(&1_u16, None::<u8>).await, Some(1));
        assert_eq!(returned(&1_u16, None::<u16>).await, Some(1));
        assert_eq!(TYPED_CALLS.count() - before, 4);
    });
}

#[test]
fn runs() {
    run(async {
        assert_eq!((find(&Pool, 1, &|| ()).await, find(&Pool, 1, &|| ()).await), (1, 1));
        assert!(find_entry(1).has().await.unwrap());
        assert_eq!((Service(Pool).find(1).await, Service(Pool).find(1).await), (1, 1));
        assert_eq!(CALLS.count(), 2);
    });
}
