//! The Redis store's scripts and commands on a real server: what the conformance suite cannot ask for, because
//! it takes other Redis types under the keys, forgotten scripts, or a look at the server's own counters.

use std::time::Duration;

use bytes::Bytes;
use cachemacro_runtime::ErrorKind;
use cachemacro_runtime::header::{DECIMAL, FIXED, Header, PENDING, Stamp, assemble};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{
    Cursor, EvictRequest, FillId, Guard, Increment, IncrementOutcome, LeaseKind, LeaseOutcome, LeaseRequest,
    OnRefusal, ReadRequest, Store, TagKeys, Token, Version, VersionKey, Write,
};
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::{DEADLINE, RedisServer, Single, namespace, wait_until};
use redis::aio::MultiplexedConnection;

const LIFE: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(3);

fn store_on(server: &RedisServer) -> RedisStore {
    RedisStore::new(RedisConfig::new(server.url()).command_timeout(DEADLINE)).expect("the URL is well-formed")
}

async fn run<T: redis::FromRedisValue>(client: &mut MultiplexedConnection, line: &[&str]) -> T {
    let mut cmd = redis::cmd(line[0]);
    cmd.arg(&line[1..]).query_async(client).await.unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

fn value(store: &RedisStore, fill_id: u64) -> Bytes {
    let gone_at = store.now().plus(LIFE);
    let header = Header::new().with_codec(1).with_fill_id(FillId::new(fill_id));
    let header = header.with_fresh_until(gone_at).with_gone_at(gone_at);
    assemble(header, &[Stamp::new(1, Version::new(2))], b"payload").into()
}

fn decimal(store: &RedisStore, fill_id: u64) -> Bytes {
    decimal_with(store, fill_id, b"")
}

fn version_key(namespace: &str, name: &str) -> VersionKey {
    VersionKey::new(format!("{namespace}:v:{name}"), 1)
}

fn request<'a>(key: &'a str, token: u64, kind: LeaseKind, capture: &'a [VersionKey]) -> LeaseRequest<'a> {
    LeaseRequest::new(key, Token::new(token), kind, LEASE).with_capture(capture, LIFE)
}

async fn take(store: &RedisStore, key: &str, token: u64) {
    let lease = store.lease_one(request(key, token, LeaseKind::Load, &[])).await.expect("answered");
    assert!(matches!(lease.outcome, LeaseOutcome::Taken), "{:?}", lease.outcome);
}

fn fill(key: &str, token: u64, bytes: Bytes) -> Write<'_> {
    Write::new(key, bytes, LIFE).with_guard(Guard::Lease(Token::new(token)))
}

/// A command for each type that is not a string.
fn other_types(key: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["RPUSH", key, "x"],
        vec!["HSET", key, "field", "x"],
        vec!["SADD", key, "x"],
        vec!["ZADD", key, "1", "x"],
        vec!["XADD", key, "*", "field", "x"],
    ]
}

#[tokio::test]
async fn another_type_under_an_entrys_key_reads_as_missing() {
    let (store, mut client, key) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    let versions = [version_key(&key, "tag")];
    for foreign in other_types(&key) {
        run::<redis::Value>(&mut client, &foreign).await;
        assert_eq!(store.entry(&key).await.expect("read"), None, "{foreign:?}");
        let keys = [&*key];
        let request = ReadRequest::new(&keys).with_versions(&versions);
        assert_eq!(*store.read(request).await.expect("read").entries, [None]);
        assert_eq!(
            *store.read(request.with_first(FIXED)).await.expect("head").entries,
            [None],
            "{foreign:?}"
        );
        assert_eq!(*store.read(ReadRequest::new(&[&key, &key])).await.expect("read").entries, [None, None]);
        let inspect = store.inspect().expect("it can be looked into");
        assert_eq!(inspect.raw(key.as_bytes()).await.expect("raw"), None);
        assert!(!store.evict_one(&key).await.expect("evict"));
        assert_eq!(run::<i64>(&mut client, &["EXISTS", &key]).await, 0, "and an evict removes it");
    }
}

#[tokio::test]
async fn another_type_under_an_entrys_key_is_healed_by_every_writer() {
    let (store, mut client, key) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    for foreign in other_types(&key) {
        for writer in ["load", "put", "cas", "increment", "set"] {
            run::<redis::Value>(&mut client, &["DEL", &key]).await;
            run::<redis::Value>(&mut client, &foreign).await;
            match writer {
                "cas" => {
                    assert!(!store.compare_and_set(&key, 9, value(&store, 1), LIFE).await.expect("cas"));
                    assert!(store.compare_and_set(&key, 0, value(&store, 1), LIFE).await.expect("cas"));
                }
                "increment" => {
                    let fresh = decimal(&store, 1);
                    let add = Increment::new(&key, 5, fresh, LIFE);
                    assert_eq!(store.increment(add).await.expect("increment"), IncrementOutcome::Added(5));
                }
                "set" => store.set(&key, value(&store, 1), LIFE).await.expect("set"),
                lease => {
                    let kind = match lease {
                        "load" => LeaseKind::Load,
                        _ => LeaseKind::Put,
                    };
                    let lease = store.lease_one(request(&key, 7, kind, &[])).await.expect("lease");
                    assert!(matches!(lease.outcome, LeaseOutcome::Taken));
                }
            }
            assert_eq!(run::<String>(&mut client, &["TYPE", &key]).await, "string", "{foreign:?} {writer}");
            assert!(run::<i64>(&mut client, &["PTTL", &key]).await > 0, "and it expires");
        }
    }
}

#[tokio::test]
async fn another_type_under_an_entrys_key_accepts_no_token() {
    let (store, mut client, key) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    for foreign in other_types(&key) {
        run::<redis::Value>(&mut client, &foreign).await;
        assert!(!store.renew(&key, 7, LEASE).await.expect("renew"));
        assert!(!store.release(&key, 7).await.expect("release"));
        assert!(!store.write_one(fill(&key, 7, value(&store, 1))).await.expect("fill").accepted);
        assert_eq!(run::<i64>(&mut client, &["EXISTS", &key]).await, 1, "a load's refused fill leaves it");
        let put = fill(&key, 7, value(&store, 1)).with_on_refusal(OnRefusal::Unlink);
        assert!(!store.write_one(put).await.expect("fill").accepted);
        assert_eq!(run::<i64>(&mut client, &["EXISTS", &key]).await, 0, "a put's unlinks it");
    }
}

#[tokio::test]
async fn another_type_under_a_versions_key_is_missing_and_replaced_by_a_capture() {
    let (store, mut client, ns) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    let keys = [version_key(&ns, "tag")];
    let text = keys[0].text.clone();
    for foreign in other_types(&text) {
        run::<redis::Value>(&mut client, &["DEL", &text]).await;
        run::<redis::Value>(&mut client, &foreign).await;
        assert_eq!(store.versions(&keys).await.expect("versions"), [None]);
        let read = store.read(ReadRequest::new(&["none"]).with_versions(&keys)).await.expect("read");
        assert_eq!(*read.versions, [None]);
        let version = store.capture(&keys, LIFE).await.expect("capture")[0];
        assert_eq!(store.versions(&keys).await.expect("versions"), [Some(version)]);
        run::<redis::Value>(&mut client, &["DEL", &text]).await;
        run::<redis::Value>(&mut client, &foreign).await;
        let tag = TagKeys::new(keys[0].clone(), version_key(&ns, "any"));
        store.evict_tags(&[tag]).await.expect("evicted");
        assert_eq!(run::<i64>(&mut client, &["EXISTS", &text]).await, 0);
    }
}

#[tokio::test]
async fn a_version_that_never_expires_stays_so() {
    let (store, mut client, ns) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    let keys = [version_key(&ns, "tag")];
    run::<redis::Value>(&mut client, &["SET", &keys[0].text, "8 bytes!"]).await;
    let captured = store.capture(&keys, LIFE).await.expect("capture");
    assert_eq!(captured, [Version::from_bytes(*b"8 bytes!")]);
    assert_eq!(run::<i64>(&mut client, &["PTTL", &keys[0].text]).await, -1);
}

/// Every operation that runs a script, each right after the server forgot all of them.
#[tokio::test]
async fn forgotten_scripts_are_sent_again_and_nobody_notices() {
    let server = RedisServer::start();
    let (store, mut client, ns) = (store_on(&server), server.client().await, namespace());
    store.connect().await.expect("connected");
    let versions = [version_key(&ns, "a"), version_key(&ns, "b")];
    let key = format!("{ns}:k");
    let flush = ["SCRIPT", "FLUSH"];

    run::<()>(&mut client, &flush).await;
    let lease = store.lease_one(request(&key, 7, LeaseKind::Load, &versions)).await.expect("lease");
    assert!(matches!(lease.outcome, LeaseOutcome::Taken), "{lease:?}");
    let captured = lease.versions;
    run::<()>(&mut client, &flush).await;
    assert_eq!(store.capture(&versions, LIFE).await.expect("capture"), captured);
    run::<()>(&mut client, &flush).await;
    assert!(store.renew(&key, 7, LEASE).await.expect("renew"));
    run::<()>(&mut client, &flush).await;
    let filled = store.write_one(fill(&key, 7, value(&store, 1)).with_check(&versions)).await.expect("fill");
    assert!(filled.accepted);
    assert_eq!(filled.versions, captured.iter().copied().map(Some).collect::<Vec<_>>());
    run::<()>(&mut client, &flush).await;
    assert!(store.compare_and_set(&key, 1, decimal_with(&store, 2, b"40"), LIFE).await.expect("cas"));
    run::<()>(&mut client, &flush).await;
    let add = Increment::new(&key, 2, decimal(&store, 3), LIFE);
    assert_eq!(store.increment(add).await.expect("increment"), IncrementOutcome::Added(42));
    run::<()>(&mut client, &flush).await;
    let put = request(&key, 8, LeaseKind::Put, &[]).with_seen(FillId::new(3));
    assert!(matches!(store.lease_one(put).await.expect("lease").outcome, LeaseOutcome::Taken));
    run::<()>(&mut client, &flush).await;
    assert!(store.release(&key, 8).await.expect("release"));
    run::<()>(&mut client, &flush).await;
    assert!(store.evict_one(&key).await.expect("evict"));
    let calls: String = run(&mut client, &["INFO", "errorstats"]).await;
    assert!(calls.contains("errorstat_NOSCRIPT:count=9"), "each was asked by its hash first: {calls}");
}

/// Only some of a pipeline's scripts are unknown: those that ran are not sent again.
#[tokio::test]
async fn of_a_pipeline_only_what_the_server_did_not_know_is_sent_again() {
    let server = RedisServer::start();
    let (store, mut client, ns) = (store_on(&server), server.client().await, namespace());
    let versions = [version_key(&ns, "a")];
    let keys = [format!("{ns}:1"), format!("{ns}:2")];
    store.connect().await.expect("connected");
    run::<()>(&mut client, &["SCRIPT", "FLUSH"]).await;
    store.capture(&versions, LIFE).await.expect("the server knows this one again");
    run::<()>(&mut client, &["CONFIG", "RESETSTAT"]).await;
    let requests: Vec<_> =
        (1..).zip(&keys).map(|(token, key)| request(key, token, LeaseKind::Load, &versions)).collect();
    for lease in store.lease(&requests).await.expect("leases") {
        assert!(matches!(lease.outcome, LeaseOutcome::Taken), "{:?}", lease.outcome);
    }
    let stats: String = run(&mut client, &["INFO", "commandstats"]).await;
    assert!(stats.contains("cmdstat_evalsha:calls=3,"), "{stats}");
    assert!(stats.contains("cmdstat_eval:calls=2,"), "{stats}");
}

fn decimal_with(store: &RedisStore, fill_id: u64, payload: &[u8]) -> Bytes {
    let header = Header::new().with_codec(DECIMAL).with_fill_id(FillId::new(fill_id));
    assemble(header.with_gone_at(store.now().plus(LIFE)), &[], payload).into()
}

#[tokio::test]
async fn scripts_flushed_in_the_middle_of_traffic_cost_nobody_an_error() {
    let server = RedisServer::start();
    let store = std::sync::Arc::new(store_on(&server));
    let ns = namespace();
    let traffic: Vec<_> = (0..8_u64)
        .map(|task| {
            let (store, ns) = (store.clone(), ns.clone());
            tokio::spawn(async move {
                let versions = [version_key(&ns, "shared")];
                for round in 1..=100_u64 {
                    let key = format!("{ns}:{task}:{round}");
                    let lease = store
                        .lease_one(request(&key, round, LeaseKind::Load, &versions))
                        .await
                        .expect("lease");
                    assert!(matches!(lease.outcome, LeaseOutcome::Taken), "{:?}", lease.outcome);
                    assert!(
                        store
                            .write_one(fill(&key, round, value(&store, round)))
                            .await
                            .expect("fill")
                            .accepted
                    );
                }
            })
        })
        .collect();
    let mut client = server.client().await;
    let finished = || traffic.iter().all(tokio::task::JoinHandle::is_finished);
    while !finished() {
        run::<()>(&mut client, &["SCRIPT", "FLUSH"]).await;
        tokio::task::yield_now().await;
    }
    for task in traffic {
        task.await.expect("no error");
    }
}

#[tokio::test]
async fn a_server_that_forbids_loading_scripts_still_serves() {
    let server = RedisServer::start();
    let mut client = server.client().await;
    run::<()>(&mut client, &["ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-script"]).await;
    let url = server.bare_url().replace("redis://", "redis://app:pw@");
    let store =
        RedisStore::new(RedisConfig::new(url).command_timeout(DEADLINE)).expect("the URL is well-formed");
    take(&store, "k", 7).await;
    assert!(store.write_one(fill("k", 7, value(&store, 1))).await.expect("fill").accepted);
}

#[tokio::test]
async fn the_hot_path_sends_one_command_and_checks_nothing_out() {
    let server = RedisServer::start();
    let (store, mut client) = (store_on(&server), server.client().await);
    store.connect().await.expect("connected");
    store.set("k", value(&store, 1), LIFE).await.expect("set");
    run::<()>(&mut client, &["CONFIG", "RESETSTAT"]).await;
    for _ in 0..100 {
        store.entry("k").await.expect("read");
        let tags = [version_key("ns", "tag")];
        store.read(ReadRequest::new(&["k"]).with_versions(&tags)).await.expect("read");
    }
    let stats: String = run(&mut client, &["INFO", "commandstats"]).await;
    let mut seen: Vec<&str> = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")).collect();
    seen.retain(|line| !line.starts_with("config"));
    assert_eq!(seen.len(), 1, "{stats}");
    assert!(stats.contains("cmdstat_mget:calls=200,"), "{stats}");
}

#[tokio::test]
async fn of_what_is_evicted_together_tags_are_sent_first() {
    let server = RedisServer::start();
    let store = store_on(&server);
    store.connect().await.expect("connected");
    let tags = ["a", "b"].map(|name| TagKeys::new(version_key("ns", name), version_key("ns", "any")));
    let watched = Watched::start(&server.url()).await;
    let existed = store.evict(EvictRequest::new(&["k", "l"], &tags)).await.expect("evicted");
    assert_eq!(existed, [false, false]);
    let mut commands = watched.commands().await;
    // What a script does is told too.
    commands.retain(|command| ["UNLINK", "EVALSHA"].contains(&command[0].as_str()) && command.len() > 2);
    let names: Vec<_> = commands.iter().map(|command| command[0].as_str()).collect();
    assert_eq!(names, ["UNLINK", "EVALSHA"], "{commands:?}");
    assert_eq!(commands[0][1..], ["ns:v:a", "ns:v:any", "ns:v:b", "ns:v:any"]);
}

/// The server itself tells since which version it knows each command that the store sends.
#[tokio::test]
async fn no_command_is_newer_than_the_oldest_supported_server() {
    let server = RedisServer::start();
    let (store, mut client) = (store_on(&server), server.client().await);
    let tag = TagKeys::new(version_key("ns", "tag"), version_key("ns", "any"));
    let versions = [tag.tag.clone()];
    store.connect().await.expect("connected");
    run::<()>(&mut client, &["CONFIG", "RESETSTAT"]).await;
    store.lease_one(request("k", 7, LeaseKind::Load, &versions)).await.expect("lease");
    wait_until("the waiter is tracked", DEADLINE, async || {
        store.changed("k", Duration::from_millis(20)).await;
        run::<String>(&mut client, &["CLIENT", "LIST"]).await.contains("flags=t")
    })
    .await;
    store.renew("k", 7, LEASE).await.expect("renew");
    store.write_one(fill("k", 7, value(&store, 1)).with_check(&versions)).await.expect("fill");
    let refresh = request("k", 8, LeaseKind::Load, &[]).with_seen(FillId::new(1));
    store.lease_one(refresh).await.expect("lease");
    store.release("k", 8).await.expect("release");
    store.compare_and_set("k", 1, decimal_with(&store, 2, b"1"), LIFE).await.expect("cas");
    store.increment(Increment::new("k", 1, decimal(&store, 3), LIFE)).await.expect("increment");
    let read = ReadRequest::new(&["k"]).with_versions(&versions);
    store.read(read).await.expect("read");
    store.entry("k").await.expect("read");
    store.read(read.with_first(FIXED)).await.expect("head");
    store.set("k", value(&store, 1), LIFE).await.expect("set");
    store.evict_one("k").await.expect("evict");
    store.evict_tags(&[tag]).await.expect("evict");
    store.evict_prefix("k").await.expect("evict");
    let inspect = store.inspect().expect("it can be looked into");
    inspect.scan("k", &Cursor::default()).await.expect("scan");
    inspect.raw(b"k").await.expect("raw");
    store.health().await.expect("health");

    let stats: String = run(&mut client, &["INFO", "commandstats"]).await;
    let names: Vec<String> = stats
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next())
        .map(|name| name.replace('|', " "))
        .collect();
    assert!(names.len() > 15, "{names:?}");
    let server: String = run(&mut client, &["INFO", "server"]).await;
    if server.contains("redis_version:6.") {
        // It has carried out each of them, and does not tell since when it can.
        return;
    }
    for name in names {
        let main = name.split(' ').next().expect("a name");
        let docs: String =
            format!("{:?}", run::<redis::Value>(&mut client, &["COMMAND", "DOCS", main]).await);
        let since = docs.split("since").nth(1).expect("documented");
        let digits: String = since
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(|c| *c != '\'' && *c != '"')
            .collect();
        let mut parts = digits.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let since = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        assert!(since <= (6, 2), "{name} exists since {digits}");
    }
}

#[tokio::test]
async fn a_lease_sets_a_pending_header_that_expires_with_it() {
    let (store, mut client, key) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    take(&store, &key, 0x0102_0304_0506_0708).await;
    let raw: Vec<u8> = run(&mut client, &["GET", &key]).await;
    let header = Header::parse(&raw).expect("a header");
    assert_eq!(
        raw,
        Header::pending(Token::new(0x0102_0304_0506_0708), header.lease_deadline, false).to_bytes()
    );
    assert!(header.has(PENDING));
    let left: i64 = run(&mut client, &["PTTL", &key]).await;
    assert!((1..=3_000).contains(&left), "{left}");
    let time: (u64, u64) = run(&mut client, &["TIME"]).await;
    let deadline_in = header.lease_deadline.millis().abs_diff(time.0 * 1_000 + time.1 / 1_000);
    assert!(deadline_in <= 3_000, "the deadline is the server's time: {deadline_in}");
}

#[tokio::test]
async fn the_stores_time_is_the_servers() {
    let store = store_on(RedisServer::shared());
    store.connect().await.expect("connected");
    let mut client = RedisServer::shared().client().await;
    let before = store.now().millis();
    let (seconds, micros): (u64, u64) = run(&mut client, &["TIME"]).await;
    let after = store.now().millis();
    let server = seconds * 1_000 + micros / 1_000;
    assert!(before <= server + 1_000 && server <= after + 1_000, "{before} {server} {after}");
}

#[tokio::test]
async fn lives_beyond_what_the_server_takes_are_clamped() {
    let (store, mut client, key) =
        (store_on(RedisServer::shared()), RedisServer::shared().client().await, namespace());
    store.set(&key, value(&store, 1), Duration::MAX).await.expect("set");
    assert!(run::<i64>(&mut client, &["TTL", &key]).await > 90 * 365 * 24 * 60 * 60);
    store.capture(&[version_key(&key, "tag")], Duration::MAX).await.expect("capture");
    store.set(&key, value(&store, 1), Duration::ZERO).await.expect("set");
}

#[tokio::test]
async fn an_increment_without_a_whole_header_is_refused_before_it_is_sent() {
    let store = store_on(RedisServer::shared());
    let key = namespace();
    let fresh = Bytes::from_static(&[0; FIXED - 1]);
    let add = Increment::new(&key, 1, fresh, LIFE);
    assert_eq!(store.increment(add).await.expect_err("refused").kind(), ErrorKind::Encode);
    assert_eq!(store.entry(&key).await.expect("read"), None);
}

/// A million foreign keys: the scan goes in steps, and no step holds the server up.
#[tokio::test]
async fn a_prefix_is_evicted_in_steps_that_do_not_hold_the_server_up() {
    let server = RedisServer::start();
    let (store, mut client) = (store_on(&server), server.client().await);
    let make = "for i = ARGV[1], ARGV[1] + 49999 do redis.call('SET', 'foreign:' .. i, 'x') end";
    for from in (0..1_000_000).step_by(50_000) {
        run::<()>(&mut client, &["EVAL", make, "0", &from.to_string()]).await;
    }
    let make = "for i = 1, 5000 do redis.call('SET', 'mine:' .. i, 'x') end";
    run::<()>(&mut client, &["EVAL", make, "0"]).await;
    run::<()>(&mut client, &["CONFIG", "RESETSTAT"]).await;
    assert_eq!(store.evict_prefix("mine:").await.expect("evicted"), 5_000);
    assert_eq!(run::<i64>(&mut client, &["DBSIZE"]).await, 1_000_000);
    let stats: String = run(&mut client, &["INFO", "commandstats"]).await;
    // How many commands shared the work is what bounds each: a thousand keys are looked at, or 500 removed.
    for (name, least) in [("scan", 900), ("unlink", 10)] {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).expect("it ran");
        let calls: u64 = line
            .split("calls=")
            .nth(1)
            .and_then(|rest| rest.split(',').next()?.parse().ok())
            .expect("a number of calls");
        assert!(calls >= least, "{name} was called {calls} times");
    }
    assert!(!stats.contains("cmdstat_keys:"), "KEYS would look at all of them in one go");
}

#[tokio::test]
async fn health_names_the_server() {
    let store = store_on(RedisServer::shared());
    let health = store.health().await.expect("there");
    assert_eq!(health.name, "redis");
    let server = health.server.expect("it may be asked");
    assert!(server.starts_with("redis ") || server.starts_with("valkey "), "{server}");
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("redis.sock");
    let path = socket.to_str().expect("a path of text");
    let _server = RedisServer::with_args(&["--unixsocket", path]);
    let store =
        RedisStore::new(RedisConfig::new(format!("unix://{path}?db=3"))).expect("the URL is well-formed");
    take(&store, "k", 7).await;
    assert!(store.write_one(fill("k", 7, value(&store, 1))).await.expect("fill").accepted);
    assert!(store.entry("k").await.expect("read").is_some());
}

/// What an ACL has to allow, on the application's own keys.
#[tokio::test]
async fn a_user_with_few_rights_suffices() {
    let server = RedisServer::start();
    let mut client = server.client().await;
    let rights = "+get +mget +getrange +strlen +set +setrange +unlink +incrby +time +pttl +pexpire +evalsha +eval \
                  +script|load +scan +ping +unwatch +info +client|tracking +client|caching";
    let mut acl = vec!["ACL", "SETUSER", "app", "on", ">pw", "~app:*"];
    acl.extend(rights.split_whitespace());
    run::<()>(&mut client, &acl).await;
    let url = server.bare_url().replace("redis://", "redis://app:pw@");
    let store =
        RedisStore::new(RedisConfig::new(url).command_timeout(DEADLINE)).expect("the URL is well-formed");
    let versions = [version_key("app", "tag")];
    let key = "app:k";
    store.lease_one(request(key, 7, LeaseKind::Load, &versions)).await.expect("lease");
    wait_until("the waiter is tracked", DEADLINE, async || {
        store.changed(key, Duration::from_millis(20)).await;
        run::<String>(&mut client, &["CLIENT", "LIST"]).await.contains("flags=t")
    })
    .await;
    assert!(store.renew(key, 7, LEASE).await.expect("renew"));
    assert!(
        store.write_one(fill(key, 7, value(&store, 1)).with_check(&versions)).await.expect("fill").accepted
    );
    let keys = [key];
    let read = ReadRequest::new(&keys).with_versions(&versions);
    store.read(read).await.expect("read");
    store.read(read.with_first(FIXED)).await.expect("head");
    assert!(store.compare_and_set(key, 1, decimal_with(&store, 2, b"1"), LIFE).await.expect("cas"));
    let add = Increment::new(key, 1, decimal(&store, 3), LIFE);
    assert_eq!(store.increment(add).await.expect("increment"), IncrementOutcome::Added(2));
    store.set(key, value(&store, 1), LIFE).await.expect("set");
    assert!(store.evict_one(key).await.expect("evict"));
    store.evict_tags(&[TagKeys::new(versions[0].clone(), version_key("app", "any"))]).await.expect("evict");
    store.evict_prefix("app:").await.expect("evict");
    store.evict_prefix("app:").await.expect("a pooled connection that was used before");
    let inspect = store.inspect().expect("it can be looked into");
    inspect.scan("app:", &Cursor::default()).await.expect("scan");
    inspect.raw(b"app:k").await.expect("raw");
    assert!(store.health().await.expect("health").server.is_some());
    assert_eq!(
        store.set("other:k", value(&store, 1), LIFE).await.expect_err("not its key").kind(),
        ErrorKind::Refused
    );
}
