//! What is wrong with a server is said once it was connected to: in the log, by `warnings()` and by `health()`.

use std::sync::Arc;

use async_trait::async_trait;
use cachemacro::store::memory::MemoryStore;
use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::store::{
    LeaseKind, LeaseRequest, Read, ReadRequest, Server, ServerFacts, Store, Token, pass_on,
};
use cachemacro::{Cache, CacheBuilder, Result, Ttl, Warning};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, FaultProxy, LONG, RedisServer, Single as _, namespace, wait_until};

fn cache(url: &str) -> CacheBuilder {
    Cache::builder().redis(url).namespace(&namespace())
}

/// What a cache warns of once it is connected.
async fn warnings(settings: CacheBuilder) -> Vec<Warning> {
    let cache = settings.build().expect("acceptable settings");
    let health = cache.health().await.expect("the server is there");
    assert_eq!(health.warnings, cache.warnings());
    health.warnings
}

#[tokio::test]
async fn a_server_that_suits_a_cache_is_not_warned_of() {
    let server = RedisServer::with_args(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    assert_eq!(warnings(cache(&server.url())).await, []);
    assert_eq!(warnings(cache(&server.url()).ttl(Ttl::Never)).await, []);
}

#[tokio::test]
async fn keys_of_others_that_the_server_may_drop_are_warned_of() {
    let server = RedisServer::with_args(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"]);
    let mut client = server.client().await;
    run(&mut client, "SET theirs 1").await;
    run(&mut client, "SET also-theirs 1").await;
    run(&mut client, "SETEX mortal 100 1").await;
    let drops = Warning::DropsOthers { policy: "allkeys-lfu".to_owned(), keys: 2 };
    assert_eq!(warnings(cache(&server.url())).await, [drops]);
    assert_eq!(warnings(cache(&format!("{}/1", server.url()))).await, [], "another database has none");
    run(&mut client, "CONFIG SET maxmemory-policy volatile-lru").await;
    assert_eq!(warnings(cache(&server.url())).await, [], "they are not dropped");
}

#[tokio::test]
async fn values_without_an_end_on_a_server_that_drops_nothing_are_warned_of() {
    let server = RedisServer::with_args(&["--maxmemory-policy", "noeviction"]);
    assert_eq!(warnings(cache(&server.url()).ttl(Ttl::Never)).await, [Warning::DropsNothing]);
    assert_eq!(warnings(cache(&server.url())).await, [], "they expire");
}

#[tokio::test]
async fn a_server_that_comes_back_with_old_entries_is_warned_of() {
    for args in [["--appendonly", "yes"], ["--save", "3600 1"]] {
        let server = RedisServer::with_args(&args);
        assert_eq!(warnings(cache(&server.url())).await, [Warning::Persists], "{args:?}");
    }
}

#[tokio::test]
async fn what_may_not_be_asked_for_is_not_warned_of() {
    let server = RedisServer::with_args(&["--appendonly", "yes"]);
    let mut client = server.client().await;
    run(&mut client, "ACL SETUSER shop on >secret ~* +@all -info -config").await;
    let url = format!("redis://shop:secret@{}", server.address());
    assert_eq!(warnings(cache(&url)).await, []);
}

/// As it says itself; no such server is here.
#[tokio::test]
async fn a_server_that_is_too_old_is_warned_of() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let mut old = redis::cmd("EVAL");
    old.arg("return '# Server\\r\\nredis_version:6.0.20\\r\\n'").arg(0);
    proxy.replace(b"INFO\r\n$6\r\nserver", &old, u64::MAX);
    assert_eq!(warnings(cache(&proxy.url())).await, [Warning::ServerTooOld("6.0.20".to_owned())]);
}

/// What a provider leaves out, or gives another name.
#[tokio::test]
async fn a_server_that_lacks_commands_is_told_of_once_it_is_connected_to() {
    let lacks = ["EVAL", "EVALSHA", "SCRIPT", "CONFIG"];
    let args: Vec<&str> = lacks.iter().flat_map(|command| ["--rename-command", command, ""]).collect();
    let server = RedisServer::with_args(&args);
    let store =
        RedisStore::new(RedisConfig::new(server.url()).command_timeout(DEADLINE)).expect("acceptable");
    store.connect().await.expect("reads work");
    let refused = store.health().await.expect("it answers").refused;
    assert!(refused.iter().any(|command| command == "eval"), "before anything is to be stored: {refused:?}");
    assert!(refused.iter().any(|command| command == "script"), "{refused:?}");
    let lease = LeaseRequest::new("k", Token::random(), LeaseKind::Load, LONG);
    let error = store.lease_one(lease).await.expect_err("there are no scripts");
    assert!(error.to_string().contains("the server has no `eval"), "{error}");
    let cache = cache(&server.url()).build().expect("acceptable settings");
    assert_eq!(cache.get_or_load("row", 1, async || 7).await, 7, "functions run");
}

#[tokio::test]
async fn a_replica_is_refused_and_warned_of_until_the_address_leads_to_a_primary() {
    let (primary, replica) = (RedisServer::start(), RedisServer::start());
    let mut client = replica.client().await;
    run(&mut client, &format!("REPLICAOF 127.0.0.1 {}", primary.port())).await;
    let cache = cache(&replica.url()).build().expect("acceptable settings");
    assert!(cache.connect().await.is_err() && cache.health().await.is_err());
    assert_eq!(cache.warnings(), [Warning::Replica]);
    run(&mut client, "REPLICAOF NO ONE").await;
    wait_until("it is told no more", DEADLINE, async || {
        cache.connect().await.is_ok() && cache.warnings().is_empty()
    })
    .await;
}

#[tokio::test]
async fn it_is_looked_at_without_a_call_for_its_health() {
    let server = RedisServer::with_args(&["--appendonly", "yes"]);
    let cache = cache(&server.url()).build().expect("acceptable settings");
    assert_eq!(cache.get_or_load("row", 1, async || 7).await, 7);
    wait_until("it is warned of", DEADLINE, async || cache.warnings() == [Warning::Persists]).await;
}

/// A store that tells of a server.
#[derive(Debug)]
struct Told {
    inner: MemoryStore,
    server: Server,
}

#[async_trait]
impl Store for Told {
    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        self.inner.read(request).await
    }

    fn server(&self) -> Option<&Server> {
        Some(&self.server)
    }

    pass_on!(self.inner: about, now, capture, lease, keep, write, evict, evict_prefix, health);
}

#[tokio::test]
async fn what_a_store_of_your_own_finds_out_is_warned_of_too() {
    let store = Arc::new(Told { inner: MemoryStore::new(), server: Server::new() });
    let cache = Cache::builder().store(store.clone()).build().expect("acceptable settings");
    assert_eq!(cache.warnings(), []);
    let mut facts = ServerFacts::new();
    facts.too_old = Some("6.0.9".to_owned());
    facts.plaintext = true;
    store.server.found(facts);
    assert_eq!(cache.warnings(), [Warning::Plaintext, Warning::ServerTooOld("6.0.9".to_owned())]);
    store.server.found(ServerFacts::new());
    assert_eq!(cache.warnings(), []);
}
