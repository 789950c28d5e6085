//! Connections that went silent: what may be repeated and has to be done is sent again on another connection.

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
