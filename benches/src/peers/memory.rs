//! In memory: what hands out an `Arc`, and what hands out the ten fields themselves.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use cached::macros::{cached, concurrent_cached};
use cachekit::policy::s3_fifo::ConcurrentS3FifoCache;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox_fn::prelude::PolicyConfig;
use hitbox_moka::MokaBackend;

use super::{LONG, OURS, load, load_now};
use crate::ground::rounds::{Named, Subject, next};
use crate::ground::value::User;

/// Room for more entries than there are.
pub const ROOM: usize = 16_384;

/// The cache of cachemacro's functions.
pub fn open() {
    let cache = cachemacro::Cache::builder().memory().build().expect("settings are right");
    cachemacro::Cache::set_global(cache).expect("a process sets it once");
}

/// The same on a server, with copies at hand.
pub fn open_local(url: &str) {
    let builder = cachemacro::Cache::builder().redis(url).namespace("bench").local(LONG);
    // Nothing fails because the machine is busy.
    let cache = builder.command_timeout(LONG / 60).build().expect("settings are right");
    cachemacro::Cache::set_global(cache).expect("a process sets it once");
}

/// Waits until the server tells of changes.
pub async fn until_local() {
    while cachemacro::Cache::current().stats().total.local_hits == 0 {
        black_box(ours_arc(u64::MAX).await);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Those that are compared with local copies: `cached` first, with which the others are.
pub fn at_hand() -> Vec<Named> {
    vec![
        Named::new("cached, concurrent", Sited::<ConcurrentArc>::NEW),
        Named::new("quick_cache (no TTL)", Quick::<Arc<User>>(quick())),
        Named::new("moka", Moka::<Arc<User>>(moka())),
        Named::new(OURS, Sited::<OursArc>::NEW),
        Named::new("cachemacro, 3 tags", Sited::<OursTagged>::NEW),
        Named::new("cachemacro, 31 bytes of text", Text::new()),
        Named::new("cachemacro, three parts", Three(Text::new())),
    ]
}

/// Sync functions: `cached` first, with which the other is compared.
pub fn sync() -> Vec<Named> {
    vec![Named::new("cached", CachedSync), Named::new(OURS, OursSync)]
}

/// Makes one, with an empty cache.
type Maker = fn() -> Named;

/// Those that hand out an `Arc`: `cached` first, with which the others are compared.
pub fn makers() -> [Maker; 9] {
    [
        || Named::new("cached", Sited::<CachedArc>::NEW),
        || Named::new("cached, concurrent", Sited::<ConcurrentArc>::NEW),
        || Named::new("quick_cache (no TTL)", Quick::<Arc<User>>(quick())),
        || Named::new("moka", Moka::<Arc<User>>(moka())),
        || Named::new("cachekit (no TTL)", Kit(Arc::new(ConcurrentS3FifoCache::new(ROOM)))),
        || Named::new("amalgam", Amalgam::<Arc<User>>(amalgam())),
        || Named::new(OURS, Sited::<OursArc>::NEW),
        || Named::new("cachemacro, 3 tags", Sited::<OursTagged>::NEW),
        || Named::new("cachemacro, 31 bytes of text", Text::new()),
    ]
}

/// All of them.
pub fn shared() -> Vec<Named> {
    makers().into_iter().map(|make| make()).collect()
}

/// Those that hand out a value of their own.
pub fn by_value() -> Vec<Named> {
    vec![
        Named::new("cached", Sited::<CachedValue>::NEW),
        Named::new("cached, concurrent", Sited::<ConcurrentValue>::NEW),
        Named::new("quick_cache (no TTL)", Quick::<User>(quick())),
        Named::new("moka", Moka::<User>(moka())),
        Named::new("amalgam", Amalgam::<User>(amalgam())),
        Named::new("hitbox over moka", hitbox()),
        Named::new(OURS, Sited::<OursValue>::NEW),
    ]
}

/// What threads do without sharing anything: how much slower the machine is on two of them.
pub fn control() -> Named {
    Named::new("arithmetic, nothing shared", Arithmetic)
}

/// What is handed out.
trait Given: Clone + Send + Sync + 'static {
    fn made(user: User) -> Self;
    fn id(&self) -> u64;
}

impl Given for Arc<User> {
    fn made(user: User) -> Self {
        Arc::new(user)
    }

    fn id(&self) -> u64 {
        self.id
    }
}

impl Given for User {
    fn made(user: User) -> Self {
        user
    }

    fn id(&self) -> u64 {
        self.id
    }
}

/// A function with an attribute.
trait Site: Send + Sync + 'static {
    fn call(id: u64) -> impl Future<Output = u64> + Send;
}

struct Sited<S>(std::marker::PhantomData<fn(S)>);

impl<S> Sited<S> {
    const NEW: Self = Self(std::marker::PhantomData);
}

impl<S> Clone for Sited<S> {
    fn clone(&self) -> Self {
        Self::NEW
    }
}

impl<S: Site> Subject for Sited<S> {
    async fn go(&self, id: u64) {
        assert_eq!(S::call(id).await, id);
    }
}

macro_rules! sites {
    ($($(#[$attribute:meta])* $site:ident = $name:ident -> $value:ty;)*) => {$(
        $(#[$attribute])*
        async fn $name(id: u64) -> $value {
            <$value>::made(load(id).await)
        }

        struct $site;

        impl Site for $site {
            async fn call(id: u64) -> u64 {
                Given::id(&black_box($name(id).await))
            }
        }
    )*};
}

sites! {
    #[cached(max_size = 16384, ttl_secs = 3600)]
    CachedArc = cached_arc -> Arc<User>;
    #[cached(max_size = 16384, ttl_secs = 3600)]
    CachedValue = cached_value -> User;
    #[concurrent_cached(max_size = 16384, ttl_secs = 3600)]
    ConcurrentArc = concurrent_arc -> Arc<User>;
    #[concurrent_cached(max_size = 16384, ttl_secs = 3600)]
    ConcurrentValue = concurrent_value -> User;
    #[cachemacro::cached(prefix = "arc", ttl = "1h")]
    OursArc = ours_arc -> Arc<User>;
    #[cachemacro::cached(prefix = "value", ttl = "1h")]
    OursValue = ours_value -> User;
    #[cachemacro::cached(prefix = "tagged", ttl = "1h", tags = ["users", "org:7", "all"])]
    OursTagged = ours_tagged -> Arc<User>;
}

#[derive(Clone)]
struct Text(Arc<[String]>);

impl Text {
    fn new() -> Self {
        Self((0..ROOM).map(|id| format!("{id:031}")).collect())
    }
}

impl Subject for Text {
    async fn go(&self, id: u64) {
        black_box(by_text(&self.0[id as usize]).await);
    }
}

#[cachemacro::cached(prefix = "text", ttl = "1h")]
async fn by_text(name: &str) -> Arc<User> {
    Arc::new(load(name.len() as u64).await)
}

/// A key of a number, text and an option.
#[derive(Clone)]
struct Three(Text);

impl Subject for Three {
    async fn go(&self, id: u64) {
        black_box(by_three(id, &self.0.0[id as usize], Some(3)).await);
    }
}

#[cachemacro::cached(prefix = "three", ttl = "1h")]
async fn by_three(id: u64, name: &str, page: Option<u8>) -> Arc<User> {
    Arc::new(load(id + name.len() as u64 + u64::from(page.unwrap_or(0))).await)
}

#[derive(Clone)]
struct CachedSync;

impl Subject for CachedSync {
    async fn go(&self, id: u64) {
        assert_eq!(black_box(cached_sync(id)).id, id);
    }
}

#[cached(max_size = 16384, ttl_secs = 3600)]
fn cached_sync(id: u64) -> Arc<User> {
    Arc::new(load_now(id))
}

#[derive(Clone)]
struct OursSync;

impl Subject for OursSync {
    async fn go(&self, id: u64) {
        assert_eq!(black_box(ours_sync(id)).id, id);
    }
}

#[cachemacro::cached(ttl = "1h")]
fn ours_sync(id: u64) -> Arc<User> {
    Arc::new(load_now(id))
}

#[derive(Clone)]
struct Quick<V: Given>(Arc<quick_cache::sync::Cache<u64, V>>);

fn quick<V: Given>() -> Arc<quick_cache::sync::Cache<u64, V>> {
    Arc::new(quick_cache::sync::Cache::new(ROOM))
}

impl<V: Given> Subject for Quick<V> {
    async fn go(&self, id: u64) {
        let value = self.0.get_or_insert_with(&id, || Ok::<_, Infallible>(V::made(load_now(id))));
        let Ok(value) = value;
        assert_eq!(black_box(value).id(), id);
    }
}

#[derive(Clone)]
struct Moka<V: Given>(moka::future::Cache<u64, V>);

fn moka<V: Given>() -> moka::future::Cache<u64, V> {
    moka::future::Cache::builder().max_capacity(ROOM as u64).time_to_live(LONG).build()
}

impl<V: Given> Subject for Moka<V> {
    async fn go(&self, id: u64) {
        let value = match self.0.get(&id).await {
            Some(value) => value,
            None => self.0.get_with(id, async { V::made(load(id).await) }).await,
        };
        assert_eq!(black_box(value).id(), id);
    }
}

#[derive(Clone)]
struct Kit(Arc<ConcurrentS3FifoCache<u64, Arc<User>>>);

impl Subject for Kit {
    async fn go(&self, id: u64) {
        let value = match self.0.get(&id) {
            Some(value) => value,
            None => {
                let value = Arc::new(load_now(id));
                self.0.insert(id, Arc::clone(&value));
                value
            }
        };
        assert_eq!(black_box(value).id, id);
    }
}

#[derive(Clone)]
struct Amalgam<V: Given>(amalgam::Cache<V>);

fn amalgam<V: Given>() -> amalgam::Cache<V> {
    amalgam::Cache::builder().max_capacity(ROOM as u64).try_build().expect("settings are right")
}

impl<V: Given> Subject for Amalgam<V> {
    async fn go(&self, id: u64) {
        let key = format!("user:{id}");
        let make = async move |_| Ok::<_, Infallible>(V::made(load(id).await));
        let value = self.0.get_or_set(key, make).await.expect("nothing fails");
        assert_eq!(black_box(value).id(), id);
    }
}

#[derive(Clone)]
struct Hitbox(hitbox_fn::Cache<MokaBackend, BroadcastConcurrencyManager<User>>);

fn hitbox() -> Hitbox {
    let backend = MokaBackend::builder().max_entries(ROOM as u64).build();
    let policy = PolicyConfig::builder().ttl(LONG).build();
    let manager = BroadcastConcurrencyManager::new();
    Hitbox(hitbox_fn::Cache::builder().backend(backend).policy(policy).concurrency_manager(manager).build())
}

impl Subject for Hitbox {
    async fn go(&self, id: u64) {
        assert_eq!(black_box(hitbox_user(id).cache(&self.0).await).id, id);
    }
}

#[hitbox_fn::cached(prefix = "user")]
async fn hitbox_user(id: u64) -> User {
    load(id).await
}

#[derive(Clone)]
struct Arithmetic;

impl Subject for Arithmetic {
    async fn go(&self, id: u64) {
        let mut draw = id;
        for _ in 0..32 {
            // Steps that cannot be taken together.
            draw = next(draw) ^ (draw >> 7);
        }
        black_box(draw);
    }
}
