//! Functions with an attribute, on Redis: cachemacro, `cached`, hitbox.

use std::sync::OnceLock;
use std::time::Duration;

use cached::macros::concurrent_cached;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox_fn::prelude::PolicyConfig;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::{LONG, load};
use crate::ground::rounds::Subject;
use crate::ground::value::User;

static URL: OnceLock<String> = OnceLock::new();

/// The cache whose entries are sealed.
static SEALED: OnceLock<cachemacro::Cache> = OnceLock::new();

/// The caches of cachemacro's functions, and the server of `cached`'s.
pub fn open(url: &str) {
    URL.set(url.to_owned()).expect("a process opens one server");
    // Nothing fails because the machine is busy.
    let settings = || cachemacro::Cache::builder().redis(url).command_timeout(Duration::from_secs(60));
    let plain = settings().namespace("bench").build().expect("settings are right");
    cachemacro::Cache::set_global(plain).expect("a process sets it once");
    let sealing = cachemacro::Sealing::new(&[1; 32], 1, &[2; 32]);
    let sealed = settings().namespace("bench-sealed").sealed(sealing).build().expect("settings are right");
    SEALED.set(sealed).expect("a process opens one server");
}

/// `#[cachemacro::cached]` with so many tags.
#[derive(Debug, Clone)]
pub struct Ours<const TAGS: usize>;

macro_rules! ours {
    ($($tags:literal: $name:ident = $prefix:literal, [$($tag:literal),*];)*) => {$(
        #[cachemacro::cached(prefix = $prefix, key = "{id}", ttl = "1h", tags = [$($tag),*])]
        async fn $name(id: u64) -> User {
            load(id).await
        }

        impl Subject for Ours<$tags> {
            async fn go(&self, id: u64) {
                assert_eq!($name(id).await.id, id);
            }
        }
    )*};
}

ours! {
    0: user = "user", [];
    1: user_1 = "user-1", ["users"];
    2: user_2 = "user-2", ["users", "org:7"];
    3: user_3 = "user-3", ["users", "org:7", "all"];
    4: user_4 = "user-4", ["users", "org:7", "all", "a"];
    8: user_8 = "user-8", ["users", "org:7", "all", "a", "b", "c", "d", "e"];
    16: user_16 = "user-16", [
        "users", "org:7", "all", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"
    ];
}

/// `#[cachemacro::cached]` without tags, its entries sealed.
#[derive(Debug, Clone)]
pub struct Sealed;

#[cachemacro::cached(prefix = "sealed", key = "{id}", ttl = "1h", sealed, cache = SEALED.get().expect("it was opened"))]
async fn user_sealed(id: u64) -> User {
    load(id).await
}

impl Subject for Sealed {
    async fn go(&self, id: u64) {
        assert_eq!(user_sealed(id).await.id, id);
    }
}

/// `#[concurrent_cached]` of `cached`, over its Redis store.
#[derive(Debug, Clone)]
pub struct Cached;

impl Subject for Cached {
    async fn go(&self, id: u64) {
        loop {
            match cached_user(id).await {
                Ok(user) => break assert_eq!(user.id, id),
                // On a busy machine it may meet its limit of half a second, which cannot be set.
                Err(error) => assert!(error.contains("timed out"), "{error}"),
            }
        }
    }
}

#[concurrent_cached(
    map_error = |error| format!("{error:?}"),
    ty = "cached::AsyncRedisCache<u64, User>",
    create = r##"{
        cached::AsyncRedisCache::builder("cached-user")
            .ttl(LONG)
            .connection_string(URL.get().expect("it was opened"))
            .build()
            .await
            .expect("the server answers")
    }"##
)]
async fn cached_user(id: u64) -> Result<User, String> {
    Ok(load(id).await)
}

/// hitbox' attribute, with its manager that lets one caller load.
#[derive(Clone)]
pub struct Hitbox(hitbox_fn::Cache<RedisBackend, BroadcastConcurrencyManager<User>>);

impl Subject for Hitbox {
    async fn go(&self, id: u64) {
        assert_eq!(hitbox_user(id).cache(&self.0).await.id, id);
    }
}

/// Its cache, over its Redis store.
pub fn hitbox(url: &str) -> Hitbox {
    let backend = RedisBackend::builder().connection(ConnectionMode::single(url)).build().expect("a URL");
    let one = hitbox::policy::ConcurrencyLimit::new(1).expect("one is enough");
    let policy = PolicyConfig::builder().ttl(LONG).concurrency(one).build();
    let manager = BroadcastConcurrencyManager::new();
    Hitbox(hitbox_fn::Cache::builder().backend(backend).policy(policy).concurrency_manager(manager).build())
}

#[hitbox_fn::cached(prefix = "hitbox-user")]
async fn hitbox_user(id: u64) -> User {
    load(id).await
}
