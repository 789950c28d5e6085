//! What keeps cached values true, done wrongly: the control for the history, which must find each of them out.

use std::sync::Arc;
use std::time::Duration;

use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::store::{EvictRequest, Passed, Store, TagKeys, pass_on};
use cachemacro::{Cache, CacheBuilder, Result, cached, record};
use cachemacro_sql::Watched;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::history::node::recorded;

/// What a process lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// Evicts wait for the commit.
    EarlyEvicts,
    /// An evict tells loads of it that do not know yet what they read.
    AnyTags,
    /// In a transaction that has written, cached calls store nothing.
    DirtyStores,
    /// A load hears what the cached calls in it have read.
    Nested,
    /// The outbox is read whatever its ids are, and not from the last one on.
    Cursor,
    /// A table that a load reads, and those before it did not, is one of its tags.
    NewTables,
}

impl Broken {
    pub(super) const ALL: [Self; 6] =
        [Self::EarlyEvicts, Self::AnyTags, Self::DirtyStores, Self::Nested, Self::Cursor, Self::NewTables];

    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|broken| format!("{broken:?}") == name)
    }
}

/// A cache on this server.
pub(super) fn cache(url: &str, lacks: Option<Broken>) -> CacheBuilder {
    if lacks != Some(Broken::AnyTags) {
        return Cache::builder().redis(url);
    }
    let store = RedisStore::new(RedisConfig::new(url)).expect("acceptable");
    Cache::builder().store(Arc::new(Named(Arc::new(store))))
}

/// Evicts tags by their names alone.
#[derive(Debug)]
struct Named(Arc<dyn Store>);

impl Store for Named {
    pass_on!(self.0: about, now, read, capture, lease, keep, write, evict_prefix, health, time, connect, close, increment, changes);

    fn evict<'a, 'b, 'z>(&'a self, request: EvictRequest<'b>) -> Passed<'z, Result<Vec<bool>>>
    where
        'a: 'z,
        'b: 'z,
        Self: 'z,
    {
        Box::pin(async move {
            let tags: Vec<TagKeys> =
                request.tags.iter().map(|keys| TagKeys::new(keys.tag.clone(), keys.tag.clone())).collect();
            self.0.evict(EvictRequest::new(request.keys, &tags)).await
        })
    }
}

/// Evicts what a write of this row is about to change.
pub(super) async fn evict_early(cache: &Cache, id: i64) {
    let tags = ["db:numbers", "db:changes", "db:changes:*"].map(str::to_owned);
    let tags = tags.into_iter().chain([format!("db:numbers:{id}")]);
    cache.evict_tags(tags).await.expect("evicted");
    // The commit takes its time.
    sleep(Duration::from_millis(10)).await;
}

/// In a task of its own a cached call tells its caller nothing.
#[cached(prefix = "deaf", key = "{id}", recorded)]
pub(super) async fn outer(db: &Watched<PgPool>, id: i64) -> sqlx::Result<i64> {
    record(["db"]);
    let (db, cache) = (db.clone(), Cache::current());
    let inner = tokio::spawn(async move { cache.scope(recorded(&db, id)).await });
    inner.await.expect("it does not panic")
}

/// Evicts what the outbox says from the newest row on that any process has seen.
pub(super) async fn drain_by_cursor(pool: PgPool, cache: Cache) {
    const ROWS: &str = "
        SELECT EXTRACT(epoch FROM o.at)::float8, tab, keys FROM cachemacro_outbox o, newest n
        WHERE EXTRACT(epoch FROM o.at)::float8 > n.at ORDER BY o.at";
    loop {
        let rows = sqlx::query_as::<_, (f64, String, Option<Vec<String>>)>(ROWS).fetch_all(&pool).await;
        let Ok(rows) = rows else { return };
        for (at, table, keys) in rows {
            let keys = keys.unwrap_or_else(|| vec!["*".to_owned()]);
            let rows = keys.iter().map(|key| format!("db:{table}:{key}"));
            let evicted = cache.evict_tags(rows.chain([format!("db:{table}")])).await;
            let seen = sqlx::query("UPDATE newest SET at = GREATEST(at, $1)").bind(at).execute(&pool).await;
            if evicted.is_err() || seen.is_err() {
                return;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}
