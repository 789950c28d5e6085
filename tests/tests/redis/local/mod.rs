//! The local tier on real servers: copies of decoded values, and what is told of changes.

mod faults;
mod loads;
mod sites;
mod validate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::store::faults::FaultStore;
use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::store::{Read, ReadRequest, Store, Tracking, pass_on};
use cachemacro::{Cache, CacheBuilder, Entry, Policy, Result};
use cachemacro_tests::{DEADLINE, FaultProxy, LONG, RedisServer, wait_for, wait_until};

/// Longer than any test: where a test is not about the end of a copy, none ends by itself.
const HOUR: Duration = Duration::from_hours(1);

/// A store that is asked on one way and tells of changes on another, so that a fault hits one of them.
#[derive(Debug)]
struct TwoWays {
    asked: Arc<RedisStore>,
    telling: RedisStore,
}

#[async_trait]
impl Store for TwoWays {
    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        self.asked.read(request).await
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        self.telling.tracking()
    }

    pass_on!(self.asked: about, now, capture, lease, keep, write, evict, evict_prefix, health);
    pass_on!(self.asked: time, connect, close, increment, changes, immediate, inspect);
}

/// One process, whose connection for what it is told goes through a proxy.
struct Process {
    cache: Cache,
    faults: Arc<FaultStore>,
    told: FaultProxy,
}

/// A row of a database that is written behind the cache.
#[derive(Debug, Default)]
struct Table(AtomicU64);

impl Table {
    fn write(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    fn query(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn config(url: impl Into<String>) -> RedisConfig {
    RedisConfig::new(url).connect_timeout(LONG).command_timeout(LONG).pool_wait(LONG)
}

impl Process {
    fn new(server: &RedisServer, namespace: &str) -> Self {
        Self::with(server, namespace, |builder| builder)
    }

    fn with(
        server: &RedisServer,
        namespace: &str,
        settings: impl FnOnce(CacheBuilder) -> CacheBuilder,
    ) -> Self {
        let told = FaultProxy::start(&server.address());
        let asked = Arc::new(RedisStore::new(config(server.url())).expect("config"));
        // A connection for what is told that hangs while it is opened is tried again soon.
        let telling = RedisStore::new(RedisConfig::new(told.url())).expect("config");
        let faults = Arc::new(FaultStore::new(Arc::new(TwoWays { asked, telling })));
        let builder = Cache::builder().store(faults.clone()).namespace(namespace);
        let cache = settings(builder.local(HOUR).lease(LONG).wait(LONG)).build().expect("settings");
        Self { cache, faults, told }
    }

    fn row(&self) -> Entry<u64> {
        self.cache.entry("row", 7)
    }

    fn tagged(&self) -> Entry<u64> {
        self.cache.entry::<u64>("tagged", 7).with_tags(["rows"])
    }

    fn local_hits(&self) -> u64 {
        self.cache.stats().total.local_hits
    }

    /// Whether this call is answered by a copy.
    async fn is_local(&self, entry: &Entry<u64>, table: &Table) -> bool {
        let before = self.local_hits();
        entry.get_or_load(async || table.query()).await;
        self.local_hits() > before
    }

    /// Calls until a copy answers.
    async fn warm(&self, entry: &Entry<u64>, table: &Table) {
        wait_until("a copy answers", DEADLINE, async || self.is_local(entry, table).await).await;
    }

    /// Waits until a call returns this.
    async fn sees(&self, entry: &Entry<u64>, table: &Table, value: u64) {
        wait_until("the change is seen", DEADLINE, async || {
            entry.get_or_load(async || table.query()).await == value
        })
        .await;
    }
}

/// An entry that is asked for at the store in any case.
fn plain(entry: &Entry<u64>) -> Entry<u64> {
    entry.clone().with_policy(Policy::new().local(Duration::ZERO))
}

/// Waits until this process takes copies.
async fn on(process: &Process) {
    process.warm(&process.cache.entry("anything", 0), &Table::default()).await;
}

/// Waits until the tier of this process is off.
async fn is_off(process: &Process) {
    wait_for("the tier is off", || {
        process.cache.warnings().iter().any(|warning| warning.as_str() == "local_off")
    })
    .await;
}
