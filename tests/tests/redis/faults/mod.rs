//! The Redis store when the server or the network misbehaves: every wait ends, what was sent once is not sent
//! again, the store finds back on its own, and nothing it says holds a secret.

mod clock;
mod given_back;
mod silent;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cachemacro_runtime::header::{Header, assemble};
use cachemacro_runtime::store::faults::{FaultStore, Op};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{
    Cursor, FillId, Guard, Increment, LeaseKind, LeaseOutcome, LeaseRequest, OnRefusal, ReadRequest, Store,
    TagKeys, Token, VersionKey, Write,
};
use cachemacro_runtime::{Cache, Error, ErrorKind, Lookup, Policy, Result};
use cachemacro_tests::proxy::Loss;
use cachemacro_tests::{DEADLINE, FaultProxy, RedisServer, Single, namespace, wait_until};

const LIFE: Duration = Duration::from_mins(1);
/// More than any single call may take: connecting, then a command, each with its default deadline, on a machine
/// that is busy with other tests.
const CALL: Duration = Duration::from_secs(5);

fn store(url: &str) -> RedisStore {
    RedisStore::new(RedisConfig::new(url)).expect("the URL is well-formed")
}

/// A store for tests that are not about its deadlines, on a machine that may be busy.
fn patient(url: &str) -> RedisStore {
    let config = RedisConfig::new(url).connect_timeout(DEADLINE).command_timeout(DEADLINE);
    RedisStore::new(config).expect("the URL is well-formed")
}

fn value(store: &RedisStore, fill_id: u64) -> Bytes {
    let header = Header::new().with_codec(1).with_fill_id(FillId::new(fill_id));
    assemble(header.with_gone_at(store.now().plus(LIFE)), &[], b"payload").into()
}

fn request(key: &str, token: u64) -> LeaseRequest<'_> {
    LeaseRequest::new(key, Token::new(token), LeaseKind::Load, Duration::from_secs(3))
}

fn fill(key: &str, token: u64, bytes: Bytes) -> Write<'_> {
    Write::new(key, bytes, LIFE).with_guard(Guard::Lease(Token::new(token)))
}

/// Every operation, one after another, each within its deadline.
async fn each_operation(store: &RedisStore) -> Vec<(&'static str, Result<()>)> {
    let key = namespace();
    let versions = [VersionKey::new(format!("{key}:v"), 1)];
    let tag = TagKeys::new(versions[0].clone(), versions[0].clone());
    let bytes = value(store, 1);
    let fill = fill(&key, 1, bytes.clone()).with_on_refusal(OnRefusal::Unlink).with_check(&versions);
    let add = Increment::new(&key, 1, bytes.clone(), LIFE);
    let keys = [&*key];
    let read = ReadRequest::new(&keys).with_versions(&versions);
    let inspect = store.inspect().expect("it can be looked into");
    let mut results = Vec::new();
    macro_rules! record {
        ($($name:literal: $call:expr;)*) => {$(
            let call = tokio::time::timeout(CALL, $call).await;
            results.push(($name, call.expect(concat!($name, " ends")).map(drop)));
        )*};
    }
    record! {
        "connect": store.connect();
        "read": store.read(read);
        "read_head": store.read(read.with_first(96));
        "versions": store.versions(&versions);
        "capture": store.capture(&versions, LIFE);
        "lease": store.lease_one(request(&key, 1));
        "renew": store.renew(&key, 1, LIFE);
        "fill": store.write_one(fill);
        "release": store.release(&key, 1);
        "set": store.set(&key, bytes.clone(), LIFE);
        "compare_and_set": store.compare_and_set(&key, 1, bytes, LIFE);
        "increment": store.increment(add);
        "evict": store.evict_one(&key);
        "evict_tags": store.evict_tags(std::slice::from_ref(&tag));
        "evict_prefix": store.evict_prefix(&key);
        "scan": inspect.scan(&key, &Cursor::default());
        "raw": inspect.raw(key.as_bytes());
        "health": store.health();
    }
    results
}

/// The store serves again, which it does on its own once the server does.
async fn recovers(store: &RedisStore) {
    wait_until("the store serves again", DEADLINE, async || store.entry("any").await.is_ok()).await;
}

#[tokio::test]
async fn a_store_opens_nothing_before_it_is_used() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let store = patient(&proxy.url());
    tokio::task::yield_now().await;
    assert_eq!(proxy.accepted(), 0);
    store.entry("k").await.expect("read");
    assert!(proxy.accepted() >= 1);
}

#[tokio::test]
async fn a_thousand_first_callers_share_one_connection() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let store =
        Arc::new(RedisStore::new(RedisConfig::new(proxy.url()).command_timeout(DEADLINE)).expect("config"));
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.entry("k").await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic").expect("read");
    }
    assert_eq!(proxy.accepted(), 1);
}

/// Upholds G6.
#[tokio::test]
async fn with_nobody_there_every_call_ends_with_a_connect_error() {
    let mut server = RedisServer::start();
    server.stop();
    let store = store(&server.url());
    let began = Instant::now();
    for (name, result) in each_operation(&store).await {
        let error = result.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Connect, "{name}: {error}");
        assert!(error.is_transient());
    }
    assert!(began.elapsed() < CALL, "refusals are quick");
    server.restart();
    recovers(&store).await;
}

/// Upholds G6.
#[tokio::test]
async fn on_a_silent_server_every_call_ends_within_its_deadline() {
    let server = RedisServer::start();
    let store = store(&server.url());
    store.connect().await.expect("connected");
    server.pause();
    let began = Instant::now();
    let error = store.entry("k").await.expect_err("silence");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_ambiguous());
    assert!(began.elapsed() < CALL);
    for (name, result) in each_operation(&store).await {
        let error = result.expect_err(name);
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connect), "{name}: {error}");
    }
    server.resume();
    recovers(&store).await;
}

/// Upholds G6.
#[tokio::test]
async fn in_a_black_hole_every_call_ends_and_the_way_out_is_found() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let store = store(&proxy.url());
    store.connect().await.expect("connected");
    proxy.black_hole();
    // `connect`, the first, finds its connections open: that they are useless shows when they are used.
    for (name, result) in each_operation(&store).await.into_iter().skip(1) {
        let error = result.expect_err(name);
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connect), "{name}: {error}");
    }
    proxy.pass();
    recovers(&store).await;
}

/// A connection that was lost is not waited for as long as a first one: callers have better things to do.
#[tokio::test]
async fn while_attempts_fail_callers_wait_for_none_of_them() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    proxy.black_hole();
    // An attempt takes two seconds here, and the wait for it a quarter of one.
    let config = RedisConfig::new(proxy.url()).connect_timeout(Duration::from_secs(2));
    let store = RedisStore::new(config).expect("config");
    store.entry("k").await.expect_err("nothing answers");
    let mut longest = Duration::ZERO;
    let began = Instant::now();
    while proxy.accepted() < 4 && began.elapsed() < DEADLINE {
        let call = Instant::now();
        let error = store.entry("k").await.expect_err("nothing answers");
        assert_eq!(error.kind(), ErrorKind::Connect);
        longest = longest.max(call.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(longest >= Duration::from_millis(200), "an attempt is given a chance: {longest:?}");
    assert!(longest < Duration::from_secs(1), "a call waited {longest:?}");
}

#[tokio::test]
async fn attempts_to_connect_are_few_however_many_callers_there_are() {
    // Everything that connects is accepted and dropped at once.
    let mut server = RedisServer::start();
    server.stop();
    let proxy = FaultProxy::start(&server.address());
    let store = Arc::new(store(&proxy.url()));
    let began = Instant::now();
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                while began.elapsed() < Duration::from_secs(2) {
                    assert!(store.entry("k").await.is_err());
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("every call failed");
    }
    let seconds = began.elapsed().as_secs() + 1;
    assert!((2..=10 * seconds).contains(&proxy.accepted()), "{} in {seconds} s", proxy.accepted());
}

#[tokio::test]
async fn a_cut_connection_is_replaced_and_repeatable_calls_do_not_notice() {
    for operation in ["read", "evict", "capture"] {
        let proxy = FaultProxy::start(&RedisServer::shared().address());
        let store = patient(&proxy.url());
        store.connect().await.expect("connected");
        proxy.cut();
        let key = namespace();
        match operation {
            "read" => drop(store.entry(&key).await.expect("a read is sent again")),
            "evict" => drop(store.evict_one(&key).await.expect("an evict is sent again")),
            _ => drop(store.capture(&[VersionKey::new(key, 1)], LIFE).await.expect("sent again")),
        }
        assert!(proxy.accepted() > 1, "on another connection");
    }
}

/// Scans hold pooled connections for as long as they take, which no read and no evict may have to wait for.
#[tokio::test]
async fn lost_connections_are_replaced_while_scans_hold_the_whole_pool() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let config = RedisConfig::new(proxy.url()).command_timeout(LIFE).pool_size(2);
    let store = Arc::new(RedisStore::new(config).expect("config"));
    store.connect().await.expect("connected");
    let mut scans = Vec::new();
    for scan in 1..=2 {
        proxy.lose_reply_to(b"SCAN", Loss::Silence);
        let store = Arc::clone(&store);
        scans.push(tokio::spawn(async move { store.evict_prefix("any").await }));
        wait_until("a scan is on its way", DEADLINE, async || proxy.lost() == scan).await;
    }
    let mut admin = server.client().await;
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut admin).await.expect("CLIENT LIST");
    let shared: Vec<_> = list
        .lines()
        .filter(|client| !client.contains("cmd=scan") && !client.contains("cmd=client"))
        .filter_map(|client| client.split_whitespace().next()?.strip_prefix("id="))
        .collect();
    assert_eq!(shared.len(), 1, "{list}");
    for id in shared {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(id).exec_async(&mut admin).await.expect("CLIENT KILL");
    }
    recovers(&store).await;
    store.evict_one("any").await.expect("evicts work, too");
    let error = store.evict_prefix("other").await.expect_err("the pool is no larger");
    assert!(error.to_string().contains("no pooled connection"), "{error}");
    assert!(scans.iter().all(|scan| !scan.is_finished()), "they hold the pool all the time");
}

/// The token of an unanswered lease is never sent a second time: the server sees it once. Upholds G1.
#[tokio::test]
async fn a_lease_whose_reply_was_lost_is_not_had_and_not_asked_for_again() {
    for loss in [Loss::Silence, Loss::Close] {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(&server.address());
        let store = store(&proxy.url());
        store.connect().await.expect("connected");
        let token = 0x7EAD_BEEF_CAFE_F00D_u64;
        proxy.lose_reply_to(&token.to_le_bytes(), loss);
        let error = store.lease_one(request("k", token)).await.expect_err("unanswered");
        assert!(error.is_ambiguous(), "{error}");
        assert_eq!(proxy.lost(), 1);
        let stats: String = redis::cmd("INFO")
            .arg("commandstats")
            .query_async(&mut server.client().await)
            .await
            .expect("INFO");
        assert!(stats.contains("cmdstat_evalsha:calls=1,"), "{loss:?}: {stats}");
        // It did run, so others wait for its end; a new attempt draws a new token.
        wait_until("the store is back", DEADLINE, async || {
            matches!(
                store.lease_one(request("k", 2)).await.map(|lease| lease.outcome),
                Ok(LeaseOutcome::Busy { .. })
            )
        })
        .await;
    }
}

/// Upholds G1.
#[tokio::test]
async fn writes_whose_reply_was_lost_are_not_sent_again() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let store = store(&proxy.url());
    store.connect().await.expect("connected");
    proxy.lose_reply_to(b"payload", Loss::Close);
    let error = store.set("k", value(&store, 1), LIFE).await.expect_err("unanswered");
    assert_eq!(error.kind(), ErrorKind::Io);
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut server.client().await).await.expect("INFO");
    assert!(stats.contains("cmdstat_set:calls=1,"), "{stats}");
}

#[tokio::test]
async fn a_restart_in_the_middle_of_traffic_is_survived() {
    let mut server = RedisServer::start();
    let store = Arc::new(store(&server.url()));
    store.connect().await.expect("connected");
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let traffic: Vec<_> = (0..8_u64)
        .map(|task| {
            let (store, stopped) = (Arc::clone(&store), stopped.clone());
            tokio::spawn(async move {
                let mut token = task << 32;
                while !*stopped.borrow() {
                    token += 1;
                    let key = format!("k{}", token % 7);
                    let _ = store.entry(&key).await;
                    if let Ok(LeaseOutcome::Taken) =
                        store.lease_one(request(&key, token)).await.map(|it| it.outcome)
                    {
                        let bytes = value(&store, token);
                        let _ = store.write_one(fill(&key, token, bytes)).await;
                    }
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let pid = server.port();
        server.restart();
        assert_eq!(server.port(), pid);
        let began = Instant::now();
        recovers(&store).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    stop.send_replace(true);
    for task in traffic {
        tokio::time::timeout(CALL, task).await.expect("nobody hangs").expect("nobody panics");
    }
}

#[test]
fn a_store_outlives_the_runtime_that_connected_it() {
    let store = store(&RedisServer::shared().url());
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            recovers(&store).await;
            store.changed("k", Duration::from_millis(10)).await;
            store.evict_prefix("none such").await.expect("a pooled connection is replaced, too");
        });
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_abandon_the_connection() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    proxy.delay(Duration::from_millis(30));
    let config = RedisConfig::new(proxy.url()).connect_timeout(DEADLINE).command_timeout(DEADLINE).handles(1);
    let store = RedisStore::new(config).expect("config");
    let early = tokio::time::timeout(Duration::from_millis(5), store.entry("k")).await;
    assert!(early.is_err(), "it gave up");
    store.entry("k").await.expect("read");
    assert_eq!(proxy.accepted(), 1, "the second caller found the first one's connection");
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let store = store(&RedisServer::shared().url());
    store.connect().await.expect("connected");
    store.close().await;
    for (name, result) in each_operation(&store).await {
        assert_eq!(result.expect_err(name).kind(), ErrorKind::Connect, "{name}");
    }
    store.changed("k", Duration::from_millis(1)).await;
}

/// What an error shows, all the way down.
fn shown(error: &Error) -> String {
    let mut shown = vec![format!("{error} {error:?} {error:#?}")];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        shown.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    shown.join(" ")
}

#[tokio::test]
async fn no_error_and_no_debug_output_holds_a_secret() {
    const SECRET: &str = "hunter2";
    let server = RedisServer::with_args(&["--requirepass", "other"]);
    let url = server.bare_url().replace("redis://", &format!("redis://{SECRET}:{SECRET}@"));
    let store = store(&url);
    for (name, result) in each_operation(&store).await {
        let error = result.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Connect, "{name}");
        assert!(!shown(&error).contains(SECRET), "{name}: {}", shown(&error));
    }
    let debug = format!("{store:?} {store:#?}");
    assert!(!debug.contains(SECRET) && !debug.contains(&server.port().to_string()), "{debug}");
}

#[tokio::test]
async fn a_servers_refusal_is_told_without_key_and_value() {
    const SECRET: &str = "hunter2";
    let server = RedisServer::with_args(&["--maxmemory", "100kb", "--maxmemory-policy", "noeviction"]);
    let store = patient(&server.url());
    let error = store.set(SECRET, SECRET.as_bytes().to_vec().into(), LIFE).await.expect_err("out of memory");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("OOM"), "{error}");
    assert!(!shown(&error).contains(SECRET), "{}", shown(&error));
    let error = store.lease_one(request(SECRET, 1)).await.expect_err("out of memory");
    assert!(!error.is_ambiguous() && !shown(&error).contains(SECRET), "{}", shown(&error));
    store.evict_one(SECRET).await.expect("evicts need no memory");
}
