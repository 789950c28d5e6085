//! A store under test, and what the cases ask of it in one line each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::format::header::{Header, Stamp, assemble};
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::{TagKeys, VersionKey};
use crate::ground::clock::Timestamp;
use crate::store::contract::Store;
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::lease::{HeldLease, Keep, LeaseKind, LeaseOutcome, LeaseRequest};
use crate::store::messages::read::ReadRequest;
use crate::store::messages::write::{Guard, OnRefusal, Write};
use crate::store::protocol::{Backend, Change, Protocol, Slot};

/// A life that cases outlive by [`Env::pass`]; long enough for the few commands they send before.
pub(super) const SHORT: Duration = Duration::from_millis(500);
/// A life that no case outlives.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// What passes besides the time that is to pass: clocks tell whole milliseconds.
const A_LITTLE: Duration = Duration::from_millis(20);

/// What a case needs of a store besides its methods.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use async_trait::async_trait;
/// use cachemacro::store::{Store, conformance::{Env, Subject, run}, memory::MemoryStore};
/// use std::{sync::Arc, time::Duration};
///
/// struct Memory(cachemacro::Clock, Arc<MemoryStore>);
///
/// #[async_trait]
/// impl Subject for Memory {
///     fn store(&self) -> Arc<dyn Store> {
///         self.1.clone()
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
///
///     async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration) {
///         self.1.put_raw(key, bytes.to_vec().into(), life);
///     }
///
///     async fn life_left(&self, key: &str) -> Option<Duration> {
///         self.1.life_left(key)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = cachemacro::Clock::manual();
/// let store = MemoryStore::builder().clock(clock.clone()).build();
/// run("a_lease_fills_once", &Env::new(Memory(clock, Arc::new(store)))).await;
/// # }
/// ```
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// The store under test.
    fn store(&self) -> Arc<dyn Store>;

    /// Lets a little more than `time` pass for the store.
    async fn pass(&self, time: Duration);

    /// Puts bytes under a key, as a foreign client might.
    async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration);

    /// How long a key has left; `None` where there is none.
    async fn life_left(&self, key: &str) -> Option<Duration>;
}

/// A store under test, with keys of its own.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::conformance::Env;
///
/// fn assert_shared_by_racers<T: Clone + Send + Sync>() {}
/// assert_shared_by_racers::<Env>();
/// ```
#[derive(Clone)]
pub struct Env {
    subject: Arc<dyn Subject>,
    pub(super) store: Arc<dyn Store>,
    space: String,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("store", &self.store).field("space", &self.space).finish_non_exhaustive()
    }
}

/// A store over a map, which shows what is under its keys.
struct Over<B, P> {
    store: Arc<Protocol<B>>,
    pass: P,
}

#[async_trait]
impl<B, P, F> Subject for Over<B, P>
where
    B: Backend,
    P: Fn(Duration) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    fn store(&self) -> Arc<dyn Store> {
        Arc::<Protocol<B>>::clone(&self.store)
    }

    async fn pass(&self, time: Duration) {
        (self.pass)(time + A_LITTLE).await;
    }

    async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration) {
        let bytes = Bytes::copy_from_slice(bytes);
        let put = &mut |slot: &mut Option<Slot>, now: Timestamp| {
            *slot = Some(Slot::new(bytes.clone(), now.plus(life)));
            Change::Entry
        };
        self.store.backend().update(key, put).await.expect("update");
    }

    async fn life_left(&self, key: &str) -> Option<Duration> {
        let mut left = None;
        let look = &mut |slot: &mut Option<Slot>, now: Timestamp| {
            left = slot.as_ref().map(|slot| slot.expires.since(now));
            Change::Nothing
        };
        self.store.backend().update(key, look).await.expect("update");
        left
    }
}

impl Env {
    /// An environment on a store, whose keys no other environment uses.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::conformance::{Env, Subject, run};
    ///
    /// async fn check(store: impl Subject) {
    ///     run("a_lease_fills_once", &Env::new(store)).await;
    /// }
    /// ```
    pub fn new(subject: impl Subject) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let space = format!("conformance:{}:{started}:{number}", std::process::id());
        Self { store: subject.store(), subject: Arc::new(subject), space }
    }

    /// An environment on a store made of a map. `pass` lets time pass: `tokio::time::sleep`, or what moves the store's clock.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::conformance::{Env, run};
    /// use cachemacro::store::protocol::{Backend, Protocol};
    ///
    /// async fn check(map: impl Backend) {
    ///     run("a_lease_fills_once", &Env::over(Protocol::new(map), tokio::time::sleep)).await;
    /// }
    /// ```
    pub fn over<B, P, F>(store: Protocol<B>, pass: P) -> Self
    where
        B: Backend,
        P: Fn(Duration) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::new(Over { store: Arc::new(store), pass })
    }
}

impl Env {
    /// Lets a little more than `time` pass for the store.
    pub(super) async fn pass(&self, time: Duration) {
        self.subject.pass(time).await;
    }

    /// An entry's key.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.space)
    }

    /// A version's key; all share one slot of a cluster.
    pub(super) fn version_key(&self, name: &str) -> VersionKey {
        let hash = name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        VersionKey::new(format!("{{{}}}:version:{name}", self.space), hash)
    }

    /// A tag of the one bucket there is.
    pub(super) fn tag(&self, name: &str) -> TagKeys {
        TagKeys::new(self.version_key(name), self.version_key("any"))
    }

    pub(super) async fn put_raw(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.put_raw_for(key, bytes, LONG).await;
    }

    pub(super) async fn put_raw_for(&self, key: &str, bytes: impl AsRef<[u8]>, life: Duration) {
        self.subject.put_raw(key, bytes.as_ref(), life).await;
    }

    pub(super) async fn life_left(&self, key: &str) -> Option<Duration> {
        self.subject.life_left(key).await
    }

    /// Asserts that a key's remaining life is `life`, give or take what a slow machine does to it.
    pub(super) async fn assert_life(&self, key: &str, life: Duration) {
        let left = self.life_left(key).await.expect("the key is there");
        let least = life.saturating_sub(Duration::from_secs(20));
        assert!(least <= left && left <= life, "{left:?} left instead of {life:?}");
    }

    /// A value that is readable for [`LONG`].
    pub(super) fn value(&self, fill_id: u64) -> Bytes {
        self.value_gone_after(fill_id, LONG)
    }

    pub(super) fn value_gone_after(&self, fill_id: u64, life: Duration) -> Bytes {
        let now = self.store.now();
        let header = Header {
            codec: 1,
            fill_id: FillId::new(fill_id),
            key_hash: 77,
            schema: 88,
            stored_at: now,
            fresh_until: now.plus(life),
            gone_at: now.plus(life),
            ..Header::default()
        };
        let stamp = Stamp::new(5, Version::new(6));
        assemble(header, &[stamp], format!("value {fill_id}").as_bytes()).into()
    }

    /// Carries out one write; tells whether it was accepted.
    pub(super) async fn write(&self, write: Write<'_>) -> bool {
        let [written] = &self.store.write(&[write]).await.expect("write")[..] else { panic!("one answer") };
        written.accepted
    }

    /// Stores these bytes whatever is there.
    pub(super) async fn set_bytes(&self, key: &str, bytes: Bytes, life: Duration) {
        assert!(self.write(Write::new(key, bytes, life)).await, "always");
    }

    /// Stores a value that is readable for [`LONG`].
    pub(super) async fn set(&self, key: &str, fill_id: u64) -> Bytes {
        let value = self.value(fill_id);
        self.set_bytes(key, value.clone(), LONG).await;
        value
    }

    pub(super) async fn entry(&self, key: &str) -> Option<Bytes> {
        self.store.read(ReadRequest::new(&[key])).await.expect("read").into_entry()
    }

    pub(super) async fn entries(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let read = self.store.read(ReadRequest::new(&keys)).await.expect("read");
        read.entries.into_iter().map(|excerpt| Some(excerpt?.bytes)).collect()
    }

    /// The header under a key.
    pub(super) async fn header(&self, key: &str) -> Header {
        let entry = self.entry(key).await.expect("an entry is there");
        Header::parse(&entry).expect("it is well-formed")
    }

    pub(super) async fn capture(&self, keys: &[VersionKey], life: Duration) -> Vec<Version> {
        self.store.capture(keys, life).await.expect("capture")
    }

    pub(super) async fn versions(&self, keys: &[VersionKey]) -> Vec<Option<Version>> {
        self.store.read(ReadRequest::of_versions(keys)).await.expect("read").versions.to_vec()
    }

    pub(super) async fn lease(&self, key: &str, kind: LeaseKind, token: u64, seen: u64) -> LeaseOutcome {
        self.lease_for(key, kind, token, seen, LONG).await
    }

    pub(super) async fn lease_for(
        &self,
        key: &str,
        kind: LeaseKind,
        token: u64,
        seen: u64,
        live: Duration,
    ) -> LeaseOutcome {
        let request = LeaseRequest::new(key, Token::new(token), kind, live).with_seen(FillId::new(seen));
        self.store.lease(&[request]).await.expect("lease").pop().expect("one answer").outcome
    }

    /// Takes a load's lease that is free, over nothing.
    pub(super) async fn take(&self, key: &str, token: u64) {
        assert_taken(&self.lease(key, LeaseKind::Load, token, 0).await);
    }

    /// Fills as a load does.
    pub(super) async fn fill(&self, key: &str, token: u64, fill_id: u64) -> bool {
        self.write(load_fill(key, token, self.value(fill_id))).await
    }

    /// Fills as a put does.
    pub(super) async fn fill_put(&self, key: &str, token: u64, fill_id: u64) -> bool {
        self.write(put_fill(key, token, self.value(fill_id))).await
    }

    pub(super) async fn compare_and_set(&self, key: &str, seen: u64, fill_id: u64) -> bool {
        self.write(changed_since(key, seen, self.value(fill_id))).await
    }

    pub(super) async fn evict(&self, key: &str) -> bool {
        self.store.evict(EvictRequest::new(&[key], &[])).await.expect("evict") == [true]
    }

    pub(super) async fn evict_keys(&self, keys: &[String]) -> Vec<bool> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.store.evict(EvictRequest::new(&keys, &[])).await.expect("evict")
    }

    pub(super) async fn evict_tags(&self, tags: &[TagKeys]) {
        assert!(self.store.evict(EvictRequest::new(&[], tags)).await.expect("evict").is_empty());
    }

    pub(super) async fn evict_prefix(&self, prefix: &str) -> u64 {
        self.store.evict_prefix(prefix).await.expect("evict")
    }

    pub(super) async fn renew(&self, key: &str, token: u64, live: Duration) -> bool {
        self.keep(key, token, Keep::Renew(live)).await
    }

    pub(super) async fn release(&self, key: &str, token: u64) -> bool {
        self.keep(key, token, Keep::Release).await
    }

    pub(super) async fn keep(&self, key: &str, token: u64, how: Keep) -> bool {
        self.store.keep(&[HeldLease::new(key, Token::new(token))], how).await.expect("keep") == [true]
    }
}

pub(super) fn load_fill(key: &str, token: u64, bytes: Bytes) -> Write<'_> {
    Write::new(key, bytes, LONG).with_guard(Guard::Lease(Token::new(token)))
}

/// A refresh of the value `seen`, in whose header this token was.
pub(super) fn refresh_fill(key: &str, seen: u64, token: u64, bytes: Bytes) -> Write<'_> {
    Write::new(key, bytes, LONG).with_guard(Guard::unchanged(FillId::new(seen), Token::new(token)))
}

pub(super) fn put_fill(key: &str, token: u64, bytes: Bytes) -> Write<'_> {
    load_fill(key, token, bytes).with_on_refusal(OnRefusal::Unlink)
}

pub(super) fn changed_since(key: &str, seen: u64, bytes: Bytes) -> Write<'_> {
    Write::new(key, bytes, LONG).with_guard(Guard::Seen(FillId::new(seen)))
}

#[track_caller]
pub(super) fn assert_taken(outcome: &LeaseOutcome) {
    assert!(matches!(outcome, LeaseOutcome::Taken), "expected the lease, got {outcome:?}");
}

#[track_caller]
pub(super) fn assert_busy(outcome: &LeaseOutcome) {
    assert!(matches!(outcome, LeaseOutcome::Busy { .. }), "expected a busy lease, got {outcome:?}");
}

#[track_caller]
pub(super) fn assert_found(outcome: &LeaseOutcome, value: &Bytes) {
    match outcome {
        LeaseOutcome::Found(found) => assert_eq!(found, value, "the whole entry, as it is"),
        other => panic!("expected the other value, got {other:?}"),
    }
}

/// Runs `n` tasks that start together, and gives their results in the order of their numbers.
pub(super) async fn race<T, F>(n: u64, task: impl Fn(u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(usize::try_from(n).expect("a few")));
    let tasks: Vec<_> = (0..n)
        .map(|number| {
            let (barrier, task) = (Arc::clone(&barrier), task(number));
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("no racer panics"));
    }
    results
}
