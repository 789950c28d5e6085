//! Replies by which a server says "not here, not now, not any more": what each does to the connection, to the request and to the
//! report is a table in `docs/operations.md`, and each of its rows is played here through a proxy that answers so. Below, the
//! same with real servers.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | a reply retires its connection | `each_reply_of_the_table_does_what_the_table_says` |
//! | an evict is sent again after a refusal | the same |
//! | all connections to a demoted server are retired at once | `one_answer_of_a_replica_retires_all_connections_to_it` |
//! | what refused a request is told whatever came after | `a_refusal_is_told_though_nothing_can_be_connected_to_after_it` |
//! | a replica is refused when connecting | `nothing_is_read_from_a_replica` |
//! | pooled connections are checked | `an_evict_of_a_prefix_is_not_done_on_a_replica` |
//! | what fails just after connecting is charged | `a_server_that_refuses_all_on_every_new_connection_is_not_flooded` |

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{EvictRequest, LeaseKind, LeaseRequest, Store, TagKeys, Token, VersionKey};
use cachemacro_runtime::{Error, ErrorKind};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, FaultProxy, RedisServer, Single as _, namespace, wait_until};
use futures_util::future::{join, join_all};
use redis::aio::MultiplexedConnection;

const LIFE: Duration = Duration::from_mins(1);
const ALWAYS: u64 = u64::MAX;
/// More than any call may take, on a machine that is busy with other tests.
const CALL: Duration = Duration::from_secs(5);

/// One row of the table.
#[derive(Debug)]
struct Row {
    code: String,
    connection: String,
    request: String,
    text: String,
}

fn table() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = std::fs::read_to_string(path).expect("the guide is there");
    let (_, section) = text.split_once("### Replies that refuse").expect("the section is there");
    let section = section.split("\n## ").next().expect("it has a text");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [codes, connection, request, text] = cells[..] else { panic!("four cells: {line}") };
        let row = move |code: &str| Row {
            code: code.trim_matches('`').to_owned(),
            connection: connection.to_owned(),
            request: request.to_owned(),
            text: text.to_owned(),
        };
        codes.split(", ").map(row).collect::<Vec<_>>()
    })
    .collect()
}

/// What a server says with this code, plain, and in a script as Redis 7 and as Redis 6.2 say it.
fn forms(code: &str) -> Vec<String> {
    if code.starts_with("ERR ") {
        return vec![code.to_owned()];
    }
    vec![
        format!("{code} some text"),
        format!("{code} some text script: 5ca1e, on @user_script:12."),
        format!("ERR Error running script (call to f_5ca1e): @user_script:4: @user_script: 4: -{code} text"),
    ]
}

fn store(url: &str) -> RedisStore {
    // One connection, so that it is clear which is replaced.
    RedisStore::new(RedisConfig::new(url).handles(1).push(false)).expect("the URL is well-formed")
}

fn tag(name: &str) -> TagKeys {
    let key = VersionKey::new(name, 1);
    TagKeys::new(key.clone(), key)
}

/// Upholds G7.
#[tokio::test]
async fn each_reply_of_the_table_does_what_the_table_says() {
    let rows = table();
    let codes: BTreeSet<&str> = rows.iter().map(|row| &*row.code).collect();
    for code in [
        "READONLY",
        "LOADING",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "NOREPLICAS",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "UNBLOCKED",
        "ERR max number of clients reached",
        "MISCONF",
        "OOM",
        "BUSY",
        "TRYAGAIN",
        "MOVED",
        "ASK",
        "NOGOODSLAVE",
    ] {
        assert!(codes.contains(code), "{code} has a row");
    }
    join_all(rows.iter().map(plays_once)).await;
}

async fn plays_once(row: &Row) {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    for form in forms(&row.code) {
        let store = store(&proxy.url());
        // Of use before, so that what happens now is no failure to connect.
        store.evict_one("warm").await.expect("evicted");
        let key = namespace();
        // In a pipeline: the tag's reply is good, the key's is not.
        let (keys, tags) = ([&*key], [tag(&format!("{key}-tag"))]);
        let (opened, answered) = (proxy.accepted(), proxy.answered());
        proxy.answer(format!("\r\n{key}\r\n").as_bytes(), &form, 1);
        let evicted = store.evict(EvictRequest::new(&keys, &tags)).await;
        assert_eq!(proxy.answered(), answered + 1, "{form}");
        let what = format!("{row:?} as {form:?}");
        match &*row.request {
            "sent again" | "sent again after a pause" => drop(evicted.expect(&what)),
            "refused" => expect_told(&evicted.expect_err(&what), row, &form),
            other => panic!("{other}"),
        }
        store.entry(&key).await.expect("read");
        let replaced = proxy.accepted() - opened;
        match &*row.connection {
            "kept" => assert_eq!(replaced, 0, "{what}"),
            "replaced" | "all replaced" => assert_eq!(replaced, 1, "{what}"),
            other => panic!("{other}"),
        }
    }
}

fn expect_told(error: &Error, row: &Row, form: &str) {
    assert_eq!(error.kind(), ErrorKind::Refused, "{form}: {error}");
    let told = error.to_string();
    let code = row.code.split(' ').next().expect("a word");
    assert!(told.contains(&format!("({code})")) && told.contains(&row.text), "{form}: {told}");
}

/// Upholds G7.
#[tokio::test]
async fn what_is_refused_all_the_time_is_reported_with_its_code_and_within_its_deadline() {
    join_all(table().iter().map(plays_always)).await;
}

async fn plays_always(row: &Row) {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let form = &forms(&row.code)[0];
    let store = store(&proxy.url());
    store.evict_one("warm").await.expect("evicted");
    let key = namespace();
    proxy.answer(key.as_bytes(), form, ALWAYS);
    let began = Instant::now();
    let error = store.evict_one(&key).await.expect_err(form);
    let took = began.elapsed();
    assert!(took < CALL, "{form}: {took:?}");
    let told = error.to_string();
    let code = row.code.split(' ').next().expect("a word");
    assert!(told.contains(code) && told.contains(&row.text), "{form}: {told}");

    // A read does not wait for what may pass: its caller runs the function instead.
    store.evict_one("other").await.expect("the others are served");
    let began = Instant::now();
    let error = store.entry(&key).await.expect_err(form);
    assert!(began.elapsed() < CALL, "{form}: {error}");
    // A lease is asked for once, whatever the server says.
    store.evict_one("other").await.expect("the others are served");
    let answered = proxy.answered();
    let lease = LeaseRequest::new(&key, Token::new(7), LeaseKind::Load, LIFE);
    store.lease_one(lease).await.expect_err(form);
    assert_eq!(proxy.answered(), answered + 1, "{form}");
}

/// What a server said last is told, also where the attempt after that found nobody.
#[tokio::test]
async fn a_refusal_is_told_though_nothing_can_be_connected_to_after_it() {
    for leave in [FaultProxy::refuse, FaultProxy::black_hole] {
        let proxy = FaultProxy::start(&RedisServer::shared().address());
        let store = store(&proxy.url());
        store.evict_one("warm").await.expect("evicted");
        let key = namespace();
        proxy.answer(key.as_bytes(), "NOREPLICAS some text", ALWAYS);
        let refused = async {
            wait_until("it was refused", DEADLINE, async || proxy.answered() > 0).await;
            leave(&proxy);
        };
        let (error, ()) = join(store.evict_one(&key), refused).await;
        let told = error.expect_err("nobody evicted it").to_string();
        assert!(told.contains("(NOREPLICAS)"), "{told}");
    }
}

/// Upholds G7.
#[tokio::test]
async fn a_server_that_refuses_all_on_every_new_connection_is_not_flooded() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let store = Arc::new(store(&proxy.url()));
    proxy.answer(b"EVALSHA", "NOAUTH Authentication required.", ALWAYS);
    let (began, opened) = (Instant::now(), proxy.accepted());
    let evicting: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                while began.elapsed() < Duration::from_secs(2) {
                    store.evict_one("k").await.expect_err("refused");
                }
            })
        })
        .collect();
    for task in evicting {
        task.await.expect("no panic");
    }
    let seconds = began.elapsed().as_secs() + 1;
    let opened = proxy.accepted() - opened;
    assert!((2..=15 * seconds).contains(&opened), "{opened} in {seconds} s");
}

async fn connections(client: &mut MultiplexedConnection) -> usize {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(client).await.expect("CLIENT LIST");
    list.lines().filter(|line| !line.contains("cmd=client") && !line.contains("flags=M")).count()
}

/// Two servers, and a proxy in front of the one that is the primary.
struct Pair {
    old: RedisServer,
    new: RedisServer,
    proxy: FaultProxy,
}

impl Pair {
    fn start() -> Self {
        let (old, new) = (RedisServer::start(), RedisServer::start());
        let proxy = FaultProxy::start(&old.address());
        Self { old, new, proxy }
    }

    /// The old primary follows the new one from now on. Its connections stay, as they do where an orchestrator demotes it.
    async fn demote(&self) {
        let mut client = self.old.client().await;
        run(&mut client, &format!("REPLICAOF 127.0.0.1 {}", self.new.port())).await;
        wait_until("the old primary follows", DEADLINE, async || {
            let info: String =
                redis::cmd("INFO").arg("replication").query_async(&mut client).await.expect("INFO");
            info.contains("master_link_status:up")
        })
        .await;
    }
}

/// Upholds G7.
#[tokio::test]
async fn a_primary_that_is_demoted_behind_its_address_is_left_for_the_new_one() {
    let pair = Pair::start();
    let store = RedisStore::new(RedisConfig::new(pair.proxy.url())).expect("config");
    store.connect().await.expect("connected");
    store.evict_one("k").await.expect("evicted");
    pair.demote().await;
    // Until the address leads elsewhere nothing can be evicted, and the error says why.
    let began = Instant::now();
    for _ in 0..3 {
        let error = store.evict_one("k").await.expect_err("a replica");
        assert!(error.to_string().contains("replica"), "{error}");
    }
    assert!(began.elapsed() < DEADLINE);
    let error = store.entry("k").await.expect_err("what a replica holds may be evicted already");
    assert!(error.to_string().contains("replica"), "{error}");
    pair.proxy.point_at(&pair.new.address());
    wait_until("evicts are done again", DEADLINE, async || store.evict_one("k").await.is_ok()).await;
    store.entry("k").await.expect("read");
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_finds_the_new_primary_by_itself_where_the_address_leads_there_already() {
    let pair = Pair::start();
    let store = RedisStore::new(RedisConfig::new(pair.proxy.url())).expect("config");
    store.connect().await.expect("connected");
    for what in ["key", "tag", "prefix"] {
        store.evict_one("k").await.expect("evicted");
        let mut client = pair.new.client().await;
        run(&mut client, "SET mine:1 value").await;
        run(&mut client, "SET mine value").await;
        pair.demote().await;
        pair.proxy.point_at(&pair.new.address());
        match what {
            "key" => drop(store.evict_one("mine").await.expect("evicted")),
            "tag" => store.evict_tags(&[tag("mine")]).await.expect("evicted"),
            _ => drop(store.evict_prefix("mine").await.expect("evicted")),
        }
        let there: u64 = redis::cmd("EXISTS").arg("mine").query_async(&mut client).await.expect("EXISTS");
        assert_eq!(there, 0, "{what}");
        // The next one begins with another demotion.
        let mut old = pair.old.client().await;
        run(&mut old, "REPLICAOF NO ONE").await;
        pair.proxy.point_at(&pair.old.address());
        pair.proxy.cut();
        wait_until("back", DEADLINE, async || store.evict_one("k").await.is_ok()).await;
    }
}

/// Upholds G7.
#[tokio::test]
async fn one_answer_of_a_replica_retires_all_connections_to_it() {
    let pair = Pair::start();
    let store = RedisStore::new(RedisConfig::new(pair.proxy.url()).handles(4).push(false)).expect("config");
    store.connect().await.expect("connected");
    store.evict_prefix("any").await.expect("a pooled connection, too");
    pair.demote().await;
    pair.proxy.point_at(&pair.new.address());
    store.evict_one("k").await.expect("sent again");
    let mut client = pair.new.client().await;
    run(&mut client, "SET only-here value").await;
    for _ in 0..8 {
        let read = store.inspect().expect("it can be looked into").raw(b"only-here").await.expect("read");
        assert!(read.is_some(), "read where it was written");
    }
    store.evict_prefix("only-here").await.expect("evicted");
    let mut old = pair.old.client().await;
    wait_until("the old primary is left alone", DEADLINE, async || connections(&mut old).await == 0).await;
}

/// What it holds may be evicted already. Upholds G1.
#[tokio::test]
async fn nothing_is_read_from_a_replica() {
    let pair = Pair::start();
    pair.demote().await;
    let store = RedisStore::new(RedisConfig::new(pair.proxy.url())).expect("config");
    let error = store.entry("k").await.expect_err("a replica");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("replica"), "{error}");
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_of_a_prefix_is_not_done_on_a_replica() {
    let pair = Pair::start();
    let store = RedisStore::new(RedisConfig::new(pair.proxy.url())).expect("config");
    pair.demote().await;
    let error = store.evict_prefix("none such").await.expect_err("a replica");
    assert!(error.to_string().contains("replica"), "{error}");
}

/// Upholds G7.
#[tokio::test]
async fn after_a_password_was_changed_the_error_says_so_and_the_right_one_connects_again() {
    let server = RedisServer::with_args(&["--requirepass", "first"]);
    let url = server.bare_url().replace("redis://", "redis://:first@");
    let store = RedisStore::new(RedisConfig::new(url.clone())).expect("config");
    store.evict_one("k").await.expect("evicted");
    let mut admin = cachemacro_tests::server::connect(&url).await;
    run(&mut admin, "CONFIG SET requirepass second").await;
    run(&mut admin, "CLIENT KILL TYPE normal SKIPME yes").await;
    let error = store.evict_one("k").await.expect_err("the old password");
    assert!(error.to_string().contains("user name or password"), "{error}");
    let rotated = url.replace("first", "second");
    RedisStore::new(RedisConfig::new(rotated)).expect("config").evict_one("k").await.expect("evicted");
    run(&mut admin, "CONFIG SET requirepass first").await;
    wait_until("evicts are done again", DEADLINE, async || store.evict_one("k").await.is_ok()).await;
}

/// Upholds G7.
#[tokio::test]
async fn a_server_with_its_maximum_of_clients_is_connected_to_once_there_is_room() {
    let server = RedisServer::start();
    let mut admin = server.client().await;
    run(&mut admin, "CONFIG SET maxclients 2").await;
    let other = server.client().await;
    let store = RedisStore::new(RedisConfig::new(server.url())).expect("config");
    // Whether the server's words are read before its reset of the connection arrives is a matter of luck; the table has them from a proxy.
    let error = store.evict_one("k").await.expect_err("no room");
    assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Io | ErrorKind::Timeout), "{error}");
    drop(other);
    run(&mut admin, "CONFIG SET maxclients 100").await;
    wait_until("evicts are done", DEADLINE, async || store.evict_one("k").await.is_ok()).await;
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_waits_for_a_script_that_keeps_the_server_busy() {
    let server = RedisServer::start();
    let mut admin = server.client().await;
    run(&mut admin, "CONFIG SET lua-time-limit 1").await;
    let store = RedisStore::new(RedisConfig::new(server.url()).command_timeout(Duration::from_secs(5)))
        .expect("config");
    store.connect().await.expect("connected");
    let mut other = server.client().await;
    let busy = tokio::spawn(async move {
        let script = "local from = redis.call('TIME')[1] while redis.call('TIME')[1] - from < 3 do end";
        redis::cmd("EVAL").arg(script).arg(0).exec_async(&mut other).await
    });
    wait_until("the server is busy", DEADLINE, async || {
        let ping: redis::RedisResult<String> = redis::cmd("PING").query_async(&mut admin).await;
        ping.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    let began = Instant::now();
    let error = store.entry("k").await.expect_err("busy");
    assert!(error.to_string().contains("BUSY"), "{error}");
    store.evict_one("k").await.expect("evicted, once the script ended");
    assert!(began.elapsed() < DEADLINE);
    busy.await.expect("no panic").expect("it ended by itself");
}
