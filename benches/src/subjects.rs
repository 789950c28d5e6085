//! Those that are compared. Each reads one of a hundred users by number, and decodes it.

use std::sync::Arc;
use std::time::Duration;

use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::{Cache, cached};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use crate::rounds::KEYS;
use crate::value::{self, User};
use crate::wire_source::{Wire, open};

/// How long nothing expires.
const LONG: Duration = Duration::from_secs(3600);
/// The versions of these are read along, as a cache does for tags.
const TAGS: [&str; 3] = ["bare:{tag:01}:users", "bare:{tag:02}:org:7", "bare:{tag:03}:all"];

/// One of them.
#[derive(Clone)]
pub enum Subject {
    /// `GET` over redis-rs' shared connection.
    Redis(MultiplexedConnection),
    /// The connection of the store alone, with the versions of so many tags.
    Wire { wire: Arc<Wire2>, tags: usize },
    /// `#[cached]` with so many tags.
    Cached { cache: Cache, tags: usize },
}

/// A connection.
pub struct Wire2(Wire);

impl Subject {
    /// The first is the baseline. All values have a note of so many bytes.
    pub async fn all(url: &str, note: usize) -> Vec<Self> {
        let client = redis::Client::open(url).expect("a URL");
        let mut redis = client.get_multiplexed_async_connection().await.expect("it answers");
        for id in 0..KEYS {
            let bytes = value::encode(&value::user(id, note));
            let () = redis.set(bare_key(id), bytes).await.expect("stored");
        }
        for tag in TAGS {
            let () = redis.set(tag, &b"8 bytes!"[..]).await.expect("stored");
        }
        let info = client.get_connection_info();
        let wire = open(info, LONG, LONG, Box::new(|_| {})).await.unwrap_or_else(|error| panic!("{error:?}"));
        let wire = Arc::new(Wire2(wire));
        let config = RedisConfig::new(url).command_timeout(LONG).pool_wait(LONG);
        let store = RedisStore::new(config).expect("a URL");
        let cache = Cache::builder()
            .store(Arc::new(store))
            .namespace(&format!("bench{note}"))
            .build()
            .expect("settings are right");
        let mut all = vec![Self::Redis(redis)];
        all.extend([0, 3].map(|tags| Self::Wire { wire: Arc::clone(&wire), tags }));
        all.extend([0, 3].map(|tags| Self::Cached { cache: cache.clone(), tags }));
        for cached in &all {
            if let Self::Cached { cache, tags } = cached {
                for id in 0..KEYS {
                    match tags {
                        0 => user(cache, id, note).await,
                        _ => tagged_user(cache, id, note).await,
                    };
                }
            }
        }
        all
    }

    pub fn name(&self) -> String {
        match self {
            Self::Redis(_) => "redis-rs".into(),
            Self::Wire { tags, .. } => format!("wire, {tags} tags"),
            Self::Cached { tags, .. } => format!("#[cached], {tags} tags"),
        }
    }

    /// Reads one.
    pub async fn hit(&self, id: u64) {
        let user = match self {
            Self::Redis(redis) => {
                let bytes: Vec<u8> = redis.clone().get(bare_key(id)).await.expect("stored");
                value::decode(&bytes)
            }
            Self::Wire { wire, tags } => {
                let key = bare_key(id);
                let keys = std::iter::once(key.as_str()).chain(TAGS.into_iter().take(*tags));
                let found = wire.0.read(keys.map(str::as_bytes)).await.answer().await.expect("it answers");
                assert!((1..=*tags).all(|tag| found.slice(tag).is_some()));
                value::decode(found.slice(0).expect("stored"))
            }
            Self::Cached { cache, tags: 0 } => user(cache, id, usize::MAX).await,
            Self::Cached { cache, .. } => tagged_user(cache, id, usize::MAX).await,
        };
        assert_eq!(user.id, id);
    }
}

fn bare_key(id: u64) -> String {
    format!("bare:user:{id}")
}

#[cached(prefix = "user", key = "{id}", ttl = "1h", cache = cache)]
async fn user(cache: &Cache, id: u64, note: usize) -> User {
    assert_ne!(note, usize::MAX, "a hit was expected");
    value::user(id, note)
}

#[cached(prefix = "tagged-user", key = "{id}", ttl = "1h", cache = cache, tags = ["users", "org:7", "all"])]
async fn tagged_user(cache: &Cache, id: u64, note: usize) -> User {
    assert_ne!(note, usize::MAX, "a hit was expected");
    value::user(id, note)
}
