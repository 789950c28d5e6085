//! Events on servers that fail, lose data or allow less.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::{Cache, Gap, Subscription};
use cachemacro_tests::clusters::RedisCluster;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until};

type Seen<T> = Arc<Mutex<Vec<T>>>;

fn ids(seen: &Seen<u64>) -> Vec<u64> {
    seen.lock().unwrap().clone()
}

fn on(url: &str, namespace: &str) -> Cache {
    let builder = Cache::builder().redis(url).namespace(namespace).command_timeout(Duration::from_secs(1));
    let cache = builder.build().expect("acceptable settings");
    cache.declare::<u64>("counted").expect("nothing else was declared");
    cache
}

async fn wait_for(seen: &Seen<u64>, count: usize) -> Vec<u64> {
    wait_until("events were handled", DEADLINE, async || ids(seen).len() >= count).await;
    ids(seen)
}

fn adding(cache: &Cache, seen: &Seen<u64>, gaps: &Seen<Gap>) -> cachemacro::Subscribe<u64> {
    let (seen, gaps) = (Arc::clone(seen), Arc::clone(gaps));
    let subscribe = cache.subscribe(move |id: u64| {
        seen.lock().unwrap().push(id);
        async {}
    });
    subscribe.on_gap(move |gap| gaps.lock().unwrap().push(gap))
}

async fn emit(cache: &Cache, id: u64) {
    wait_until("it is sent", DEADLINE, async || cache.emit(&id).await.is_ok()).await;
}

/// Who hears each event, and who hears it for a group, and has heard one.
struct Both {
    cache: Cache,
    each: Seen<u64>,
    one: Seen<u64>,
    gaps: Seen<Gap>,
    _subscribed: [Subscription<u64>; 2],
}

impl Both {
    async fn at(server: &RedisServer) -> Self {
        let cache = on(&server.url(), "shop");
        let (each, one, gaps) = (Seen::default(), Seen::default(), Seen::default());
        let to_each = adding(&cache, &each, &gaps).await.expect("it begins");
        let to_one = adding(&cache, &one, &gaps).one("mailers").await.expect("it begins");
        emit(&cache, 1).await;
        assert_eq!((wait_for(&each, 1).await, wait_for(&one, 1).await), (vec![1], vec![1]));
        Self { cache, each, one, gaps, _subscribed: [to_each, to_one] }
    }
}

#[tokio::test]
async fn a_stream_that_was_lost_is_a_gap_and_begins_anew() {
    let server = RedisServer::start();
    let Both { cache, each, one, gaps, _subscribed } = Both::at(&server).await;
    run(&mut server.client().await, "FLUSHALL").await;
    emit(&cache, 2).await;
    assert_eq!((wait_for(&each, 2).await, wait_for(&one, 2).await), (vec![1, 2], vec![1, 2]));
    wait_until("both are told", DEADLINE, async || {
        let gaps = gaps.lock().unwrap();
        gaps.len() == 2 && gaps.iter().all(|gap| (gap.at_least, gap.exact) == (0, false))
    })
    .await;
}

#[tokio::test]
async fn who_is_subscribed_goes_on_after_an_outage() {
    let kept = tempfile::tempdir().expect("a folder");
    let path = kept.path().to_str().expect("a path of text");
    let mut server =
        RedisServer::with_args(&["--dir", path, "--appendonly", "yes", "--appendfsync", "always"]);
    let Both { cache, each, one, gaps, _subscribed } = Both::at(&server).await;
    server.restart();
    emit(&cache, 2).await;
    wait_until("both have it", DEADLINE, async || ids(&each).contains(&2) && ids(&one).contains(&2)).await;
    assert!(gaps.lock().unwrap().is_empty());
}

#[tokio::test]
async fn where_waiting_is_not_allowed_it_is_polled() {
    let server = RedisServer::start();
    run(&mut server.client().await, "ACL SETUSER shop on >hunter2 ~* +@all -xread").await;
    let cache = on(&server.bare_url().replace("redis://", "redis://shop:hunter2@"), "shop");
    let (each, gaps) = (Seen::default(), Seen::default());
    let _each = adding(&cache, &each, &gaps).await.expect("it begins");
    for id in 1..=3 {
        emit(&cache, id).await;
        wait_for(&each, usize::try_from(id).expect("it is small")).await;
    }
}

/// The wait is over when the event comes, and not at its end.
#[tokio::test]
async fn who_waits_hears_at_once() {
    let server = RedisServer::start();
    let cache = on(&server.url(), "shop");
    let (each, gaps) = (Seen::default(), Seen::default());
    let _each = adding(&cache, &each, &gaps).await.expect("it begins");
    let mut admin = server.client().await;
    wait_until("somebody waits", DEADLINE, async || {
        let clients: String =
            redis::cmd("CLIENT").arg("LIST").query_async(&mut admin).await.expect("it answers");
        clients.lines().any(|line| line.contains(" cmd=xread ") && line.contains(" flags=b "))
    })
    .await;
    emit(&cache, 1).await;
    wait_for(&each, 1).await;
}

#[tokio::test]
async fn events_go_over_a_cluster() {
    let url = RedisCluster::shared().await.url();
    let space = namespace();
    let (cache, other) = (on(&url, &space), on(&url, &space));
    let (each, one, gaps) = (Seen::default(), Seen::default(), Seen::default());
    let _each = adding(&other, &each, &gaps).await.expect("it begins");
    let _one = adding(&other, &one, &gaps).one("mailers").await.expect("it begins");
    for id in 1..=10 {
        emit(&cache, id).await;
    }
    assert_eq!(wait_for(&each, 10).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(wait_for(&one, 10).await, (1..=10).collect::<Vec<_>>());
}
