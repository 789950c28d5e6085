//! What is logged: what an operator should know, once, at a level that fits; never a key, a value, a URL or a password.
//!
//! A binary of its own: where code first runs unwatched, its callsites may be off for good (`Log::watch`).

mod reports;
mod secrets;
mod spans;

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use cachemacro::__private::{Plain, When, Writes, write};
use cachemacro::codec::Json;
use cachemacro::store::Store as _;
use cachemacro::store::faults::Op;
use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::{
    BreakerState, Cache, Entry, ErrorKind, Mode, Observation, Observer, Sealing, cache_evict, cache_put,
    cached,
};
use cachemacro_tests::clusters::RedisCluster;
use cachemacro_tests::halt::Point::{self, After, Before};
use cachemacro_tests::halt::{Halted, Stops, Table, ended};
use cachemacro_tests::log::{Line, under_subscriber};
use cachemacro_tests::sentinels::NAME;
use cachemacro_tests::{DEADLINE, Log, Process, RedisServer, Rig, Single, namespace, wait_until};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// In every key, value, tag, error and password of these tests.
const SECRET: &str = "hush";

#[cached(prefix = "row", key = "{id}:hush", tags = ["tag:{id}", "hush-tag"], entry = row_entry)]
async fn row(id: &str) -> Result<String, String> {
    if id.ends_with("bad") { Err(format!("hush: no {id}")) } else { Ok(format!("hush, the value of {id}")) }
}

#[cache_put(entry = row_entry(id), on_err = "evict")]
async fn put(id: &str) -> Result<String, String> {
    row(id).await
}

#[cache_evict(entry = row_entry(id), tags = ["tag:{result}"])]
async fn evict(id: &str) -> String {
    id.to_owned()
}

#[cached(prefix = "many-hushes", key = (id, SECRET), tags = [format!("hush {result}")])]
async fn late(id: u32) -> u32 {
    id
}

/// Panics where one of these lines tells a secret, or the server's address.
fn assert_discreet(lines: &[Line], address: &str) {
    assert!(!lines.is_empty());
    for line in lines {
        for part in [SECRET, "redis://", address] {
            assert!(!line.text.contains(part), "it tells {part:?}: {line}");
        }
    }
}

/// One of everything that goes well.
async fn everything(cache: &Cache) {
    for _ in 0..2 {
        row("hush-key").await.expect("a row");
        row("hush-bad").await.expect_err("no row");
        late(1).await;
    }
    Mode::Refresh.scope(row("hush-key")).await.expect("a row");
    put("hush-key").await.expect("a row");
    put("hush-bad").await.expect_err("no row");
    evict("hush-key").await;
    let entry = row_entry("hush-key");
    entry.set(&"hush".to_owned()).await.expect("set");
    entry.update(|old| old.unwrap_or_default() + "hush").await.expect("updated");
    entry.lookup().await.expect("the store answers");
    cache.entry::<i64>("hush-count", &SECRET).increment(1).await.expect("added");
    let load = async |ids: Vec<&'static str>| ids.into_iter().map(|id| (id, SECRET.to_owned())).collect();
    cache.get_or_load_many("hush-many", ["hush-1", "hush-2"], load).await;
    cache.evict_prefix("hush-many").await.expect("evicted");
    cache.evict_tags(["hush-tag"]).await.expect("evicted");
    cache.health().await.expect("the store answers");
    cache.clear().await.expect("cleared");
}

/// An argument's text stays a secret; the function, the type and the remedy do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Text(String),
    Number(u64),
}

#[cached(prefix = "either", key = "{text}")]
async fn either(text: &str) -> Either {
    Either::Text(text.to_owned())
}

#[test]
fn values_that_would_not_come_back_are_told_of_once_by_function_type_and_remedy() {
    let log = Log::default();
    log.watch(async {
        let cache = Cache::memory();
        let calls = async {
            for _ in 0..3 {
                either("hush-1").await;
                either("hush-2").await;
            }
        };
        cache.scope(calls).await;
    });
    let alarms = log.alarms();
    let [warning] = &alarms[..] else { panic!("{alarms:?}") };
    for part in ["logs::either", "logs::Either", "bincode", "could not be decoded", "MessagePack"] {
        assert!(warning.text.contains(part), "{part}: {warning}");
    }
    assert_discreet(&log.lines(), "hush");
}

fn in_namespace(url: &str) -> Cache {
    // The server answers, however busy the machine is.
    let settings = Cache::builder().redis(url).namespace(&namespace()).command_timeout(DEADLINE);
    settings.build().expect("acceptable settings")
}

#[test]
fn what_goes_well_alarms_nobody_and_tells_no_keys_or_values_in_memory() {
    let log = Log::default();
    log.watch(async {
        let cache = Cache::memory();
        cache.scope(everything(&cache)).await;
    });
    assert_discreet(&log.lines(), "hush");
    assert_eq!(log.alarms(), []);
    let [made] = &log.found(Level::INFO, "")[..] else { panic!("{:?}", log.found(Level::INFO, "")) };
    assert!(made.text.contains("cache made store=\"memory\" disabled=false"), "{made}");
    // Everything that happened is there for who asks, by the function's name.
    for part in ["site=\"row\" event=Hit", "site=\"row\" event=Miss(Absent)", "site=\"row\" event=LoadFailed"]
    {
        assert!(!log.found(Level::TRACE, part).is_empty(), "{part}");
    }
    let loads = log.found(Level::DEBUG, "cache_load site=\"row\" stored=true");
    assert_eq!(loads.len(), 1 + 2 + 1, "one of a row, two that failed, one anew");
}

#[test]
fn what_goes_well_alarms_nobody_and_tells_no_keys_or_values_on_redis() {
    let log = Log::default();
    let server = RedisServer::with_args(&["--requirepass", "hush-password"]);
    log.watch(async {
        let cache = in_namespace(&format!("redis://:hush-password@{}", server.address()));
        cache.scope(everything(&cache)).await;
        assert_eq!(cache.stats().total.errors(), 0);
        cache.shutdown().await.expect("all is delivered");
    });
    assert_discreet(&log.lines(), &server.address());
    assert_eq!(log.alarms(), []);
    let [made] = &log.found(Level::INFO, "cachemacro")[..] else {
        panic!("{:?}", log.found(Level::INFO, ""))
    };
    assert!(made.text.contains("cache made store=\"redis\" disabled=false"), "{made}");
    assert!(!log.found(Level::DEBUG, "connected to redis").is_empty());
}

#[test]
fn what_is_wrong_with_a_server_is_warned_of_once_by_each_cache() {
    let log = Log::default();
    let server = RedisServer::with_args(&["--appendonly", "yes"]);
    log.watch(async {
        let cache = in_namespace(&server.url());
        for round in 0..3 {
            cache.health().await.expect("the server is there");
            assert_eq!(cache.get_or_load("hush", round, async || round).await, round);
        }
        cache.shutdown().await.expect("all is delivered");
    });
    assert_eq!(log.found(Level::WARN, "the server writes its data to disk").len(), 1);
    assert_eq!(log.alarms().len(), 1, "nothing else: {:?}", log.alarms());
}

#[test]
fn a_command_that_the_server_lacks_is_warned_of_once_by_its_name() {
    let log = Log::default();
    let server = RedisServer::with_args(&["--rename-command", "EVAL", "", "--rename-command", "EVALSHA", ""]);
    log.watch(async {
        let cache = in_namespace(&server.url());
        for round in 0..3 {
            cache.connect().await.expect("reads work");
            assert_eq!(cache.get_or_load("hush", &SECRET, async || round).await, round);
        }
    });
    let lacks = log.found(Level::WARN, "does not have a command");
    assert_eq!(lacks.len(), 1, "{lacks:?}");
    assert!(lacks[0].text.contains("command=\"eval\""), "{lacks:?}");
    assert_discreet(&log.lines(), &server.address());
}

#[test]
fn redis_being_down_is_warned_of_once_and_told_without_where_it_is() {
    let log = Log::default();
    let mut server = RedisServer::with_args(&["--requirepass", "hush-password"]);
    server.stop();
    log.watch(async {
        let cache = in_namespace(&format!("redis://hush-user:hush-password@{}/0", server.address()));
        for round in 0..20 {
            assert_eq!(cache.get_or_load("hush", &SECRET, async || round).await, round);
        }
        cache.health().await.expect_err("nobody is there");
        let (down, open) = (
            log.found(Level::WARN, " could not connect to redis connection="),
            log.found(Level::WARN, "the breaker is open"),
        );
        assert!((1..=8).contains(&down.len()), "once for each connection at most: {down:?}");
        assert!(down.iter().all(|line| !line.text.contains("still")), "{down:?}");
        assert_eq!(open.len(), 1, "once for all callers: {open:?}");
        assert_eq!(log.alarms().len(), down.len() + open.len(), "nothing else: {:?}", log.alarms());
        assert_eq!(cache.stats().breaker, Some(BreakerState::Open));
    });
    assert_discreet(&log.lines(), &server.address());
}

#[test]
fn a_connection_that_breaks_and_heals_is_told_without_where_it_leads() {
    let log = Log::default();
    let mut server = RedisServer::with_args(&["--requirepass", "hush-password"]);
    log.watch(async {
        let url = format!("redis://:hush-password@{}", server.address());
        // An evict is tried for three times as long.
        let settings = Cache::builder().redis(url).namespace(&namespace()).command_timeout(DEADLINE / 10);
        let cache = settings.build().expect("acceptable settings");
        let read = async || cache.get_or_load("hush", &SECRET, async || 1).await;
        cache.connect().await.expect("connected");
        read().await;
        server.stop();
        read().await;
        cache.evict_key("hush", SECRET).await.expect_err("nobody is there");
        server.restart();
        wait_until("it serves again", DEADLINE, async || {
            read().await;
            cache.stats().total.hits > 0
        })
        .await;
        cache.shutdown().await.expect("all is delivered");
    });
    assert_discreet(&log.lines(), &server.address());
    assert!(!log.found(Level::WARN, "a redis connection failed").is_empty(), "{:?}", log.alarms());
    assert!(!log.found(Level::INFO, "redis answers again").is_empty());
    assert_eq!(log.found(Level::ERROR, ""), []);
}

#[test]
fn a_wrong_password_is_warned_of_without_being_told() {
    let log = Log::default();
    let server = RedisServer::with_args(&["--requirepass", "another-password"]);
    log.watch(async {
        let cache = in_namespace(&format!("redis://:hush-password@{}", server.address()));
        assert_eq!(cache.get_or_load("hush", &SECRET, async || 1).await, 1);
    });
    assert_discreet(&log.lines(), &server.address());
    assert!(!log.found(Level::WARN, "could not connect to redis").is_empty(), "{:?}", log.lines());
}

/// Clusters and sentinels have connections and errors of their own; what is sealed has keys that nobody may see.
#[test]
fn a_cluster_and_sentinels_come_and_go_without_telling_secrets() {
    let log = Log::default();
    log.watch(async {
        let mut cluster = RedisCluster::alone().await;
        cluster.each("ACL SETUSER hush-user on >hush-password ~* &* +@all").await;
        let mut primary = RedisServer::with_args(&["--requirepass", "hush-password"]);
        let sentinel = RedisServer::sentinel(&format!(
            "requirepass hush-password\nsentinel monitor {NAME} 127.0.0.1 {} 1\nsentinel auth-pass {NAME} hush-password\n",
            primary.port(),
        ));
        let by_sentinel =
            format!("redis+sentinel://:hush-password@{}/{NAME}?sentinel_password=hush-password", sentinel.address());
        let mut lost = Vec::new();
        for url in [cluster.bare_url().replace("://", "://hush-user:hush-password@"), by_sentinel] {
            let sealing = Sealing::new(&[b'h'; 32], 1, &[b'u'; 32]);
            let settings = Cache::builder().redis(url).namespace(&namespace()).sealed(sealing).local(DEADLINE);
            let cache = settings.command_timeout(DEADLINE / 10).build().expect("acceptable settings");
            cache.scope(everything(&cache)).await;
            lost.push(cache);
        }
        let addresses = [cluster.servers[0].address(), primary.address(), sentinel.address()];
        cluster.servers[0].stop();
        primary.stop();
        drop(sentinel);
        for cache in lost {
            assert_eq!(cache.get_or_load("hush", &SECRET, async || 1).await, 1);
            cache.evict_key("hush", SECRET).await.expect_err("nobody is there");
            let shown = format!("{cache:?} {:?} {:?}", cache.health().await, cache.warnings());
            for part in [SECRET, "redis+", "hhhh", "104, 104", "117, 117"].iter().chain(&addresses.each_ref().map(|address| &**address)) {
                assert!(!shown.contains(part), "it tells {part:?}: {shown}");
            }
        }
        for address in addresses {
            assert_discreet(&log.lines(), &address);
        }
    });
    assert!(!log.found(Level::WARN, "could not connect to redis").is_empty(), "{:?}", log.lines());
}

#[test]
fn a_failed_evict_is_warned_of_by_its_kind() {
    for redis in [false, true] {
        let log = Log::default();
        log.watch(async {
            let rig = if redis { Rig::redis() } else { Rig::memory() };
            let process = rig.process();
            process
                .cache
                .scope(async {
                    row("hush-key").await.expect("a row");
                    process.faults.fail_next(Op::Evict, 1, ErrorKind::Io);
                    assert_eq!(evict("hush-key").await, "hush-key");
                    let failed = log.found(Level::WARN, "an evict did not reach the store");
                    assert_eq!(failed.len(), 1, "{:?}", log.alarms());
                    assert!(failed[0].text.contains("kind=io"), "{failed:?}");
                    assert!(failed[0].text.contains("logs::evict"), "the function: {failed:?}");
                    // A put that can neither store nor evict.
                    process.faults.fail_next(Op::Fill, 1, ErrorKind::Timeout);
                    process.faults.fail_next(Op::Evict, 1, ErrorKind::Io);
                    put("hush-key").await.expect("a row");
                    assert_eq!(log.alarms().len(), 2, "{:?}", log.alarms());
                    // Who calls directly is told, and decides what to log.
                    process.faults.fail_next(Op::Evict, 1, ErrorKind::Io);
                    row_entry("hush-key").evict().await.expect_err("no answer");
                    assert_eq!(log.alarms().len(), 2, "{:?}", log.alarms());
                    // What costs a load and nothing more alarms nobody.
                    for op in [Op::Read, Op::Lease, Op::Fill, Op::Capture, Op::Release] {
                        process.faults.fail_next(op, 1, ErrorKind::Io);
                        row("hush-other").await.expect("a row");
                        late(1).await;
                    }
                    assert_eq!(log.alarms().len(), 2, "{:?}", log.alarms());
                    assert!(!log.found(Level::DEBUG, "the cache failed kind=io").is_empty());
                })
                .await;
        });
        assert_discreet(&log.lines(), "hush");
    }
}

/// Has a caller stop at `point` and go away, and says what was logged and counted.
fn drop_at(redis: bool, point: Point, start: fn(&Process, Stops) -> tokio::task::JoinHandle<u64>) -> Log {
    let log = Log::default();
    log.watch(async {
        let rig = if redis { Rig::redis() } else { Rig::memory() };
        let (here, there) = (rig.process(), rig.process());
        let caller = Halted::start(&here, point, |stops| start(&here, stops)).await;
        assert!(caller.stands(), "{point:?}");
        caller.abort().await;
        // It left nothing that others would wait for.
        assert_eq!(ended(Table::default().read(&number(&there), Stops::default())).await, 1, "{point:?}");
        for process in [here, there] {
            let stats = process.cache.stats().total;
            assert_eq!((stats.errors(), stats.failed_evicts), (0, 0), "{point:?}");
        }
    });
    log
}

fn number(process: &Process) -> Entry<u64> {
    process.cache.entry("hush-number", 7).with_tags(["hush-tag"])
}

#[test]
fn a_caller_that_goes_away_is_no_error_and_alarms_nobody() {
    for redis in [false, true] {
        for point in
            [Before(Op::Read), Before(Op::Lease), After(Op::Lease), Before(Op::Fill), After(Op::Fill)]
        {
            let log = drop_at(redis, point, |process, stops| Table::default().read(&number(process), stops));
            assert_eq!(log.alarms(), [], "{point:?}");
            assert_discreet(&log.lines(), "hush");
        }
        for point in [Point::BeforeQuery, Before(Op::Evict), After(Op::Evict)] {
            let log = drop_at(redis, point, |process, stops| {
                let writes = Writes::new(Plain).evict(Some(&process.cache), When::default());
                let writes = writes.evict_entry(&number(process));
                tokio::spawn(async move {
                    let body = pin!(async {
                        stops.before_query().await;
                        7
                    });
                    write(writes, body, |_, writes| writes).await
                })
            });
            assert_eq!(log.alarms(), [], "{point:?}");
        }
    }
}

/// A subscriber that uses the store it is told of.
struct Nosy {
    store: Arc<RedisStore>,
    told: mpsc::Sender<String>,
    busy: AtomicBool,
}

impl Visit for &Nosy {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Nobody may listen any more.
            let _ = self.told.send(format!("{value:?}"));
        }
    }
}

impl Subscriber for Nosy {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cachemacro")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if !self.busy.swap(true, Ordering::SeqCst) {
            // One read for each shared connection.
            for _ in 0..2 {
                let _ = self.store.entry("k").now_or_never();
            }
            // The task that opens the pushes is not begun here: what is begun while an event is told has no subscriber.
            if let Some(changes) = self.store.changes().filter(|changes| changes.are_told()) {
                let _ = changes.changed("k", DEADLINE).now_or_never();
            }
            self.busy.store(false, Ordering::SeqCst);
        }
        event.record(&mut &*self);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_subscriber_may_use_the_store_that_logs() {
    let mut server = RedisServer::start();
    let store = Arc::new(RedisStore::new(RedisConfig::new(server.url())).expect("acceptable settings"));
    let (told, lines) = mpsc::channel();
    let nosy = Nosy { store: Arc::clone(&store), told, busy: AtomicBool::new(false) };
    // On a thread of its own: a lock that it waits for in vain holds up that thread alone.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        under_subscriber(nosy, || {
            runtime.expect("a runtime can be built").block_on(async {
                loop {
                    let _ = store.entry("k").await;
                    store.changed("k", Duration::from_millis(5)).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        });
    });
    let expect = |messages: &[&str]| {
        let mut left = messages.to_vec();
        let until = Instant::now() + DEADLINE;
        while !left.is_empty() {
            let line = lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("never told: {left:?}"));
            left.retain(|message| *message != line);
        }
    };
    // By two tasks, in any order.
    expect(&["connected to redis", "redis wakes waiters by push"]);
    server.stop();
    // The first failure may be of an attempt that was begun while an event was told, which has no subscriber.
    expect(&["still could not connect to redis"]);
    server.restart();
    expect(&["redis answers again"]);
}

#[test]
fn a_server_without_a_namespace_is_warned_of() {
    let log = Log::default();
    log.watch(async {
        let _ = in_namespace("redis://localhost:1");
        let _ = Cache::memory();
        assert_eq!(log.alarms(), []);
        Cache::builder().redis("redis://localhost:1").build().expect("acceptable settings");
    });
    let [warning] = &log.alarms()[..] else { panic!("{:?}", log.alarms()) };
    assert!(warning.level == Level::WARN && warning.text.contains("no namespace is set"), "{warning}");
}

/// What is flattened asks for any value, so no change of it can be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Details {
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Account {
    id: u32,
    details: Details,
}

fn account(id: u32) -> Account {
    Account { id, details: Details { rest: BTreeMap::from([("owner".to_owned(), SECRET.to_owned())]) } }
}

// bincode would not bring it back.
#[cached(codec = Json)]
async fn unseen(id: u32) -> Account {
    account(id)
}

#[cached(codec = Json)]
async fn unseen_elsewhere(id: u32) -> Account {
    account(id)
}

#[cached(version = 1, codec = Json)]
async fn looked_after(id: u32) -> Account {
    account(id)
}

#[test]
fn a_type_with_parts_that_no_fingerprint_sees_is_warned_of_once_for_each_site() {
    let log = Log::default();
    log.watch(Cache::memory().scope(async {
        for id in 0..3 {
            unseen(id).await;
            unseen_elsewhere(id).await;
            looked_after(id).await;
        }
    }));
    let warnings = log.alarms();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, site) in warnings.iter().zip(["unseen", "unseen_elsewhere"]) {
        assert_eq!(warning.level, Level::WARN);
        assert!(warning.text.contains(&format!("site=\"{site}\"")), "{warning}");
        assert!(warning.text.contains("Account") && warning.text.contains("details"), "{warning}");
    }
    assert_discreet(&log.lines(), "hush");
}

thread_local! {
    /// The cache of the test, and whether it is being asked this moment.
    static ASKED: (OnceCell<Cache>, Cell<bool>) = const { (OnceCell::new(), Cell::new(false)) };
}

/// Uses the cache of this thread in every way, to an end where the cache holds no lock.
fn ask() {
    ASKED.with(|(cache, asking)| {
        let Some(cache) = cache.get().filter(|_| !asking.replace(true)) else { return };
        let entry = row_entry("hush-key");
        let asked = async {
            let _ = (cache.stats(), cache.warnings(), entry.get().await);
            let _ = (row("hush-key").await, entry.set(&SECRET.to_owned()).await);
            let _ = (cache.evict_tags(["hush-tag"]).await, entry.evict().await);
            let _ = cache.health().await;
        };
        // What would wait for another task is dropped where it is.
        let _ = cache.scope(asked).now_or_never();
        asking.set(false);
    });
}

struct Asks;

impl Subscriber for Asks {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        ask();
        Id::from_u64(1)
    }

    fn event(&self, _: &Event<'_>) {
        ask();
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {
        ask();
    }

    fn exit(&self, _: &Id) {
        ask();
    }
}

impl Observer for Asks {
    fn event(&self, _: &Observation<'_>) {
        ask();
    }
}

/// A value of the user's, with code of the user's in all that the cache does with it.
#[derive(Debug, PartialEq)]
struct Asking(u32);

impl Clone for Asking {
    fn clone(&self) -> Self {
        ask();
        Self(self.0)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ask();
    }
}

impl Serialize for Asking {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ask();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Asking {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ask();
        u32::deserialize(deserializer).map(Self)
    }
}

#[cached(prefix = "asking", tags = ["hush-tag", "n:{result.0}"], unless = result.0 == 7)]
async fn asking(n: u32) -> Asking {
    tokio::task::yield_now().await;
    Asking(n)
}

/// No user code runs, and nothing is logged, while the cache holds a lock: whoever is told may use it at once.
#[test]
fn subscribers_observers_and_values_may_use_the_cache_whenever_they_are_told() {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let cache = Cache::builder().memory().observer(Asks).build().expect("acceptable settings");
        ASKED.with(|(asked, _)| asked.set(cache.clone()).is_ok());
        under_subscriber(Asks, || {
            runtime.block_on(cache.scope(async {
                everything(&cache).await;
                for _ in 0..2 {
                    let all = (0..20).map(|n| asking(n % 8));
                    assert_eq!(futures_util::future::join_all(all).await.len(), 20);
                    drop(asking(1).now_or_never());
                    cache.evict_tags(["n:1"]).await.expect("evicted");
                }
            }));
            drop((runtime, cache));
        });
        let _ = done.send(());
    });
    ended.recv_timeout(DEADLINE).expect("somebody waits for a lock that its own thread holds");
}
