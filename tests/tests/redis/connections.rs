//! Connections: each setting does what the table in `docs/configuration.md` says, and a process does not flood a server that is away.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::store::{Cursor, EvictRequest, ReadRequest, Store};
use cachemacro::{Cache, CacheBuilder, ErrorKind};
use cachemacro_tests::{DEADLINE, FaultProxy, RedisServer, namespace, wait_for, wait_until};
use futures_util::future::join_all;

const ALWAYS: u64 = u64::MAX;

fn cache(url: &str) -> CacheBuilder {
    Cache::builder().redis(url).namespace(&namespace())
}

/// The ids of the server's connections, of those that sent one of these commands last where there are any.
async fn connections(server: &RedisServer, last: &[&str]) -> BTreeSet<String> {
    let list: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query_async(&mut server.client().await)
        .await
        .expect("the server tells");
    let field = |line: &str, name: &str| -> String {
        let value = line.split(' ').find_map(|word| word.strip_prefix(name));
        value.expect("each line has it").to_owned()
    };
    let is_meant = |line: &&str| last.is_empty() || last.contains(&&*field(line, "cmd="));
    // The one that asks is not counted.
    let others = list.lines().filter(|line| !line.contains("cmd=client"));
    others.filter(is_meant).map(|line| field(line, "id=")).collect()
}

/// A port where everybody is let in and thrown out at once, and how many were.
fn thrown_out() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (format!("redis://{address}"), count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_attempts_a_second_fail_at_most_however_many_callers_and_caches_there_are() {
    let (url, count) = thrown_out();
    let over = Arc::new(AtomicBool::new(false));
    let tasks = (0..8).flat_map(|_| {
        // Copies are told of on a connection of their own, and scans go over pooled ones. No breaker keeps calls away.
        let cache = cache(&url).guarded(false).local(Duration::from_secs(10)).pool_size(20).handles(20);
        let cache = cache.build().expect("acceptable settings");
        let over = &over;
        (0..8_u64).map(move |task| {
            let (cache, over) = (cache.clone(), Arc::clone(over));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(cache.get_or_load("row", task, async || task).await, task);
                    if task == 0 {
                        cache.evict_prefix("row").await.expect_err("nobody is there");
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(4)).await;
    over.store(true, Ordering::SeqCst);
    let (attempts, seconds) = (count.load(Ordering::SeqCst), began.elapsed().as_secs_f64());
    for task in tasks {
        task.await.expect("no call fails");
    }
    println!("{attempts} attempts in {seconds:.1} s");
    assert!(
        f64::from(u32::try_from(attempts).unwrap_or(u32::MAX)) <= 10.0 * (seconds + 1.0),
        "{attempts} attempts in {seconds:.1} s"
    );
    assert!(attempts > 10, "they are made");
}

#[tokio::test]
async fn a_connection_that_died_unnoticed_is_replaced_before_a_call_finds_out() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let cache = cache(&proxy.url()).health_interval(Duration::from_millis(50)).build().expect("acceptable");
    cache.connect().await.expect("the server is there");
    let before = proxy.accepted();
    proxy.black_hole();
    wait_for("another one is opened", || proxy.accepted() > before).await;
    proxy.pass();
    assert_eq!(cache.stats().total.errors_of(ErrorKind::Timeout), 0, "nobody called");
}

#[tokio::test]
async fn a_connection_is_renewed_when_its_life_is_over_and_no_call_fails_for_it() {
    let server = RedisServer::start();
    let life = Duration::from_millis(100);
    let cache = cache(&server.url()).max_life(life).health_interval(None).command_timeout(DEADLINE);
    let cache = cache.build().expect("acceptable settings");
    cache.connect().await.expect("the server is there");
    let mut seen = BTreeSet::new();
    wait_until("five connections have served", DEADLINE, async || {
        assert_eq!(cache.get_or_load("row", 1, async || 7).await, 7);
        seen.extend(connections(&server, &["get", "mget"]).await);
        seen.len() >= 5
    })
    .await;
    let stats = cache.stats().total;
    assert_eq!((stats.loads, stats.misses()), (1, 1), "no read has failed");
    assert_eq!(
        connections(&server, &["get", "mget", "script|load"]).await.len(),
        1,
        "those before it have ended"
    );
}

#[tokio::test]
async fn a_pooled_connection_is_renewed_when_its_life_is_over() {
    let server = RedisServer::start();
    let cache = cache(&server.url()).max_life(Duration::from_millis(100)).health_interval(None);
    let cache = cache.pool_size(1).build().expect("acceptable settings");
    let mut seen = BTreeSet::new();
    wait_until("three pooled connections have served", DEADLINE, async || {
        cache.evict_prefix("row").await.expect("the server is there");
        seen.extend(connections(&server, &["scan"]).await);
        seen.len() >= 3
    })
    .await;
}

#[tokio::test]
async fn as_many_connections_are_there_at_least_as_the_settings_say() {
    let server = RedisServer::start();
    let open = async |settings: fn(CacheBuilder) -> CacheBuilder| {
        let cache = settings(cache(&server.url())).build().expect("acceptable settings");
        cache.connect().await.expect("the server is there");
        let open = connections(&server, &[]).await.len();
        cache.shutdown().await.expect("all is delivered");
        drop(cache);
        wait_until("all are closed", DEADLINE, async || connections(&server, &[]).await.is_empty()).await;
        open
    };
    assert_eq!(open(|cache| cache).await, 1);
    assert_eq!(open(|cache| cache.handles(3)).await, 3);
    assert_eq!(open(|cache| cache.pool_min(3)).await, 4);
}

#[tokio::test]
async fn pooled_connections_that_were_cut_off_are_there_again_without_a_call() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let cache = cache(&proxy.url()).pool_min(3).health_interval(Duration::from_millis(50));
    let cache = cache.build().expect("acceptable settings");
    cache.connect().await.expect("the server is there");
    assert_eq!(proxy.links_to(&server.address()), 4);
    let before = proxy.accepted();
    proxy.cut();
    wait_for("they are there again", || {
        proxy.accepted() >= before + 4 && proxy.links_to(&server.address()) == 4
    })
    .await;
}

#[tokio::test]
async fn no_more_connections_are_pooled_than_the_settings_say() {
    let server = RedisServer::start();
    let cache = cache(&server.url()).pool_size(2).pool_wait(DEADLINE).command_timeout(DEADLINE);
    let cache = cache.build().expect("acceptable settings");
    for done in join_all((0..20).map(|_| cache.evict_prefix("row"))).await {
        done.expect("the server is there");
    }
    let pooled = connections(&server, &["scan"]).await.len();
    assert!((1..=2).contains(&pooled), "{pooled}");
}

/// A store whose evicts are refused for now, always.
fn refused(change: fn(RedisConfig) -> RedisConfig) -> (RedisServer, FaultProxy, RedisStore) {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    proxy.answer(b"row", "LOADING some text", ALWAYS);
    let config = change(RedisConfig::new(proxy.url()).push(false));
    (server, proxy, RedisStore::new(config).expect("acceptable settings"))
}

async fn evict(store: &RedisStore) {
    let error = store.evict(EvictRequest::new(&["row"], &[])).await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_request_is_sent_again_as_often_as_the_settings_say() {
    let patient = |config: RedisConfig| config.command_timeout(DEADLINE).retries(3);
    let (_server, proxy, store) = refused(patient);
    evict(&store).await;
    assert_eq!(proxy.answered(), 1 + 3);
    let (_server, proxy, store) = refused(|config| config.retries(0));
    evict(&store).await;
    assert_eq!(proxy.answered(), 1);
}

#[tokio::test]
async fn the_pause_before_a_request_is_sent_again_is_the_one_of_the_settings() {
    // Longer than the evict has time.
    let (_server, proxy, store) = refused(|config| config.retry_delay(Duration::from_mins(1)));
    evict(&store).await;
    assert_eq!(proxy.answered(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_trouble_is_not_asked_several_times_as_often() {
    const EVICTS: u64 = 500;
    let (_server, proxy, store) = refused(|config| {
        config.retry_budget(0).command_timeout(Duration::from_secs(4)).retry_delay(Duration::from_millis(1))
    });
    let began = Instant::now();
    join_all((0..EVICTS).map(|_| evict(&store))).await;
    let again = proxy.answered() - EVICTS;
    let of_time = began.elapsed().as_secs() * 10 + 10;
    println!("{EVICTS} evicts, sent again {again} times in {:?}", began.elapsed());
    assert!(again <= 1_000 + of_time, "sent again {again} times");
    assert!(again >= 1_000, "the reserve is there to be used");
}

/// Whether this goes on for longer than it would with the defaults.
async fn goes_on(waits: impl Future) -> bool {
    tokio::time::timeout(Duration::from_secs(3), waits).await.is_err()
}

#[tokio::test]
async fn connecting_commands_and_scans_wait_as_long_as_the_settings_say() {
    let server = RedisServer::start();
    let (short, long) = (Duration::from_millis(50), Duration::from_hours(1));
    let (silent, proxy) = (FaultProxy::start(&server.address()), FaultProxy::start(&server.address()));
    silent.black_hole();
    let store = |proxy: &FaultProxy, connect, command, pool| {
        let config = RedisConfig::new(proxy.url()).pool_size(1).push(false).connect_timeout(connect);
        let store = RedisStore::new(config.command_timeout(command).pool_wait(pool));
        store.expect("acceptable settings")
    };
    let began = Instant::now();
    let error = store(&silent, short, long, long).connect().await.expect_err("silent");
    assert_eq!(error.kind(), ErrorKind::Connect);
    let (hasty, patient) = (store(&proxy, long, short, long), store(&proxy, long, long, long));
    let scanning = store(&proxy, long, long, short);
    let scan = |store: &'static RedisStore| {
        let inspect = store.inspect().expect("it can be looked into");
        async move { inspect.scan("row", &Cursor::default()).await }
    };
    let [hasty, patient, scanning] = [hasty, patient, scanning].map(|store| &*Box::leak(Box::new(store)));
    for store in [hasty, patient, scanning] {
        store.connect().await.expect("the server is there");
        scan(store).await.expect("the server is there");
    }
    proxy.black_hole();
    let keys = ["row"];
    assert_eq!(hasty.read(ReadRequest::new(&keys)).await.expect_err("silent").kind(), ErrorKind::Timeout);
    // Holds the only pooled connection.
    let held = tokio::spawn(scan(scanning));
    tokio::task::yield_now().await;
    assert_eq!(scan(scanning).await.expect_err("none comes free").kind(), ErrorKind::Connect);
    assert!(began.elapsed() < DEADLINE);
    held.abort();
    let also_held = tokio::spawn(scan(patient));
    let connecting = store(&silent, long, short, short);
    let all = tokio::join!(
        goes_on(connecting.connect()),
        goes_on(patient.read(ReadRequest::new(&keys))),
        goes_on(scan(patient)),
    );
    assert_eq!(all, (true, true, true), "connecting, a command, a scan");
    also_held.abort();
}
