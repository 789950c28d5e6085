//! Connections that went silent: what may be repeated and has to be done is sent again on another connection. Whoever was not
//! answered is told so at its own time, and nobody else.

use super::*;

/// Upholds G7.
#[tokio::test]
async fn an_evict_on_a_connection_that_went_silent_is_sent_again_on_another() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let store = store(&proxy.url());
    store.connect().await.expect("connected");
    for (what, pattern) in [("key", &b"evicted"[..]), ("tag", b"tagged")] {
        let opened = proxy.accepted();
        proxy.lose_reply_to(pattern, Loss::Silence);
        if what == "key" {
            store.evict_one("evicted").await.expect("sent again");
        } else {
            let tag = VersionKey::new("tagged", 1);
            store.evict_tags(&[TagKeys::new(tag.clone(), tag)]).await.expect("sent again");
        }
        assert_eq!(proxy.lost(), if what == "key" { 1 } else { 2 });
        store.entry("k").await.expect("read");
        assert!(proxy.accepted() > opened, "{what}: the silent one is replaced");
    }
}

/// A server that stands still takes connections and answers nothing: no other one would help.
///
/// Upholds G7.
#[tokio::test]
async fn an_evict_in_a_black_hole_ends_within_its_deadline() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let store = store(&proxy.url());
    store.connect().await.expect("connected");
    proxy.black_hole();
    let began = Instant::now();
    let error = store.evict_one("k").await.expect_err("nothing answers");
    assert!(error.is_ambiguous(), "it was sent, so it may have been done: {error}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(700), "it gives another connection a chance: {took:?}");
    assert!(took < CALL, "{took:?}");
    proxy.pass();
    recovers(&store).await;
}

/// Upholds G7.
#[tokio::test]
async fn a_server_that_stands_still_for_less_than_the_deadline_fails_no_evict() {
    let server = RedisServer::start();
    let config = RedisConfig::new(server.url()).command_timeout(Duration::from_secs(2));
    let store = Arc::new(RedisStore::new(config).expect("config"));
    store.connect().await.expect("connected");
    server.pause();
    let evict = tokio::spawn({
        let store = store.clone();
        async move { store.evict_one("k").await }
    });
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    assert!(!evict.is_finished(), "the first connection was given up, and the evict was not");
    server.resume();
    evict.await.expect("no panic").expect("evicted");
}

/// Its caller can run the function instead, and has waited long enough (G6).
///
/// Upholds G7.
#[tokio::test]
async fn a_read_on_a_connection_that_went_silent_is_not_sent_again() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let config = RedisConfig::new(proxy.url()).command_timeout(Duration::from_millis(500));
    let store = RedisStore::new(config).expect("config");
    store.connect().await.expect("connected");
    let key = namespace();
    proxy.lose_reply_to(key.as_bytes(), Loss::Silence);
    let error = store.entry(&key).await.expect_err("silence");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

/// Half of this time passes between a command that is not answered and those behind it.
const PATIENCE: Duration = Duration::from_secs(3);

fn shared_store(url: &str) -> Arc<RedisStore> {
    Arc::new(RedisStore::new(RedisConfig::new(url).command_timeout(PATIENCE)).expect("config"))
}

/// Asks for the lease of this key in a task of its own.
fn ask(store: &Arc<RedisStore>, key: &'static str) -> tokio::task::JoinHandle<Result<LeaseOutcome>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.lease_one(request(key, 1)).await.map(|lease| lease.outcome) })
}

/// Upholds G7 and G9.
#[tokio::test]
async fn what_may_be_repeated_behind_a_command_that_is_not_answered_is_answered_over_another_connection() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let store = shared_store(&proxy.url());
    store.connect().await.expect("connected");
    store.set("there", value(&store, 1), LIFE).await.expect("set");
    let opened = proxy.accepted();
    proxy.lose_reply_to(b"silent", Loss::Silence);
    let silent = ask(&store, "silent");
    wait_until("the connection is silent", DEADLINE, async || proxy.lost() == 1).await;
    tokio::time::sleep(PATIENCE / 2).await;
    let behind = ask(&store, "behind");
    let began = Instant::now();
    let (read, heads, evicted) = tokio::join!(
        store.entry("there"),
        store.read(ReadRequest::new(&["there"]).with_first(2)),
        store.evict_one("other")
    );
    let took = began.elapsed();
    assert!(read.expect("read").is_some() && evicted.is_ok(), "{evicted:?}");
    assert!(heads.expect("read").entries[0].is_some());
    assert!(took < PATIENCE, "{took:?}");
    assert!(!behind.is_finished(), "what may not be repeated has its own time");
    assert_eq!(silent.await.expect("no panic").expect_err("silence").kind(), ErrorKind::Timeout);
    assert_eq!(behind.await.expect("no panic").expect_err("silence").kind(), ErrorKind::Timeout);
    assert_eq!(proxy.accepted(), opened + 1);
}

/// Upholds G9.
#[tokio::test]
async fn what_may_not_be_repeated_is_answered_behind_a_command_that_was_given_up() {
    let server = RedisServer::start();
    let store = shared_store(&server.url());
    store.connect().await.expect("connected");
    server.pause();
    let silent = ask(&store, "silent");
    tokio::time::sleep(PATIENCE / 2).await;
    let behind = ask(&store, "behind");
    assert_eq!(silent.await.expect("no panic").expect_err("silence").kind(), ErrorKind::Timeout);
    server.resume();
    let outcome = behind.await.expect("no panic").expect("answered late, and in its own time");
    assert!(matches!(outcome, LeaseOutcome::Taken), "{outcome:?}");
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_of_a_prefix_begins_again_where_its_connection_went_silent_or_broke() {
    for loss in [Loss::Silence, Loss::Close] {
        for pattern in [&b"SCAN"[..], b"UNLINK"] {
            let server = RedisServer::start();
            let proxy = FaultProxy::start(&server.address());
            let store = store(&proxy.url());
            for key in 0..3 {
                store.set(&format!("mine:{key}"), value(&store, key), LIFE).await.expect("set");
            }
            proxy.lose_reply_to(pattern, loss);
            store.evict_prefix("mine:").await.expect("scanned again");
            assert_eq!(proxy.lost(), 1);
            for key in 0..3 {
                assert!(store.entry(&format!("mine:{key}")).await.expect("read").is_none());
            }
        }
    }
}
