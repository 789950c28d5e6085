//! What requests cost at a server, and responses that a process keeps ready beside it.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | a hit reads the entry with the versions of its tags at once | `a_hit_is_one_command_and_whoever_runs_the_handler_waits_for_two_round_trips` |
//! | nobody waits for a fill | the same |
//! | nothing is at hand that the store was not asked about, where the route says nothing of it | the same |
//! | what this process evicts ends its own copies before the evict returns (G2) | `what_is_kept_in_the_process_follows_evicts_of_this_and_of_other_processes` |
//! | what others evict ends them once the server told so (G3) | the same |
//! | what a write that was dropped evicts is not taken while that is on its way (G1, G2) | `what_a_dropped_write_may_have_outdated_is_not_taken_from_the_process` |
//! | a route's closures are asked once for a request | `what_a_route_asks_about_a_request_it_asks_once` |
//! | what is not told of any more is not taken (G3) | `without_a_word_of_the_server_nothing_is_kept_in_the_process` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::routing::{delete, get, put};
use cachemacro::{Cache, cache_evict};
use cachemacro_http::HttpCache;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until};
use http::{HeaderMap, Request};
use redis::aio::MultiplexedConnection;
use tower::ServiceExt as _;

/// A process that serves teas.
struct Process {
    cache: Cache,
    http: HttpCache,
    app: Router,
}

/// What came back: the word of X-Cache, and the text.
type Got = (String, String);

impl Process {
    /// `row` is what handlers show; a write raises it. `local`: how long responses are kept in the process.
    fn new(server: &RedisServer, namespace: &str, row: &Arc<AtomicU64>, local: Option<&'static str>) -> Self {
        let cache = Cache::builder().redis(server.url()).namespace(namespace).build().expect("acceptable");
        let http = HttpCache::new(cache.clone());
        let shown = {
            let row = row.clone();
            move |Path(id): Path<u64>, headers: HeaderMap| {
                let language = headers.get("accept-language").map_or("", |value| value.to_str().unwrap());
                let text = format!("tea {id}: {} {language}", row.load(Ordering::SeqCst));
                async move { ([("vary", "accept-language")], text) }
            }
        };
        let written = {
            let row = row.clone();
            move |Path(id): Path<u64>| {
                let text = format!("tea {id}: {} ", 1 + row.fetch_add(1, Ordering::SeqCst));
                async move { text }
            }
        };
        let mut layer = http.cache().ttl("1h").tags(["tea:{id}"]);
        if let Some(local) = local {
            layer = layer.local(local);
        }
        let teas = get(shown)
            .layer(layer)
            .merge(put(written.clone()).layer(http.put().ttl("1h").tags(["tea:{id}"])))
            .merge(delete(written).layer(http.evict().tags(["tea:{id}"])));
        Self { cache, http, app: Router::new().route("/teas/{id}", teas) }
    }

    async fn ask(&self, method: &str, uri: &str, language: &str) -> Got {
        let request = Request::builder().method(method).uri(uri).header("host", "shop");
        let request = request.header("accept-language", language).body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let word = response.headers()["x-cache"].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1 << 20).await.expect("the body comes whole");
        (word, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, uri: &str) -> Got {
        self.ask("GET", uri, "en").await
    }

    fn local_hits(&self) -> u64 {
        self.cache.stats().total.local_hits
    }

    /// Whether this process answers without asking the server.
    async fn is_here(&self, uri: &str, language: &str) -> bool {
        let before = self.local_hits();
        assert!(self.ask("GET", uri, language).await.1.ends_with(language));
        self.local_hits() > before
    }

    async fn warm(&self, uri: &str) {
        for language in ["en", "de"] {
            let is_here = async || self.is_here(uri, language).await;
            wait_until("the response is kept here", DEADLINE, is_here).await;
        }
    }
}

/// How many commands the server ran, but those of the test.
async fn commands(client: &mut MultiplexedConnection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(client).await.expect("INFO");
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    let counted =
        lines.filter(|(name, _)| !["config", "info", "client"].iter().any(|own| name.starts_with(own)));
    counted.map(|(_, rest)| rest.split(',').next().unwrap().parse::<u64>().expect("a number")).sum()
}

#[tokio::test]
async fn a_hit_is_one_command_and_whoever_runs_the_handler_waits_for_two_round_trips() {
    let (server, namespace) = (RedisServer::start(), namespace());
    let mut client = server.client().await;
    let cache = Cache::builder().redis(server.url()).namespace(&namespace).build().expect("acceptable");
    let http = HttpCache::new(cache.clone());
    let trips = |cache: &Cache| cache.stats().total.store_time.count();
    let before_handler = Arc::new(AtomicU64::new(0));
    let handler = {
        let (cache, seen, client) = (cache.clone(), before_handler.clone(), client.clone());
        move || {
            let (cache, seen, mut client) = (cache.clone(), seen.clone(), client.clone());
            async move {
                seen.store(trips(&cache), Ordering::SeqCst);
                // From here on nothing is stored until the test lets it.
                run(&mut client, "CLIENT PAUSE 3600000 WRITE").await;
                "tea"
            }
        }
    };
    // A longer one has the lives of its tags' versions prolonged, beside its fill.
    let layer = http.cache().ttl("1m").tags(["teas", "drinks"]);
    let app = Router::new().route("/{what}", get(handler).layer(layer));
    let ask = async |uri: &str| {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        response.headers()["x-cache"].to_str().unwrap().to_owned()
    };
    // The first makes the connection, and the server learns the scripts.
    ask("/coffees").await;
    run(&mut client, "CLIENT UNPAUSE").await;
    cache.stored().await;
    let before = trips(&cache);
    assert_eq!(ask("/teas").await, "MISS", "and nobody waits for its fill");
    assert_eq!(before_handler.load(Ordering::SeqCst), before + 2);
    run(&mut client, "CLIENT UNPAUSE").await;
    cache.stored().await;
    assert_eq!(trips(&cache), before + 3, "the fill");
    run(&mut client, "CONFIG RESETSTAT").await;
    for _ in 0..100 {
        assert_eq!(ask("/teas").await, "HIT");
    }
    let ran = commands(&mut client).await;
    // Now and then the server tells its time along, and how it is.
    assert!((100..=110).contains(&ran), "{ran} commands");
    assert_eq!((trips(&cache), cache.stats().total.local_hits), (before + 103, 0));
}

/// Upholds G2 and G3.
#[tokio::test]
async fn what_is_kept_in_the_process_follows_evicts_of_this_and_of_other_processes() {
    #[cache_evict(tags = ["tea:{id}"])]
    async fn change(id: u64) {
        let _ = id;
    }

    let (server, namespace, row) = (RedisServer::start(), namespace(), Arc::<AtomicU64>::default());
    let process = || Process::new(&server, &namespace, &row, Some("1h"));
    let (one, other) = (process(), process());
    let sees = async |process: &Process, value: u64| {
        for language in ["en", "de"] {
            let text = format!("tea 7: {value} {language}");
            wait_until("the change is seen", DEADLINE, async || {
                process.ask("GET", "/teas/7", language).await.1 == text
            })
            .await;
        }
    };
    for way in 0..4 {
        one.warm("/teas/7").await;
        let value = 1 + row.fetch_add(1, Ordering::SeqCst);
        match way {
            0 => other.cache.scope(change(7)).await,
            1 => other.cache.evict_tags(["tea:7"]).await.expect("the server answers"),
            2 => drop(other.ask("DELETE", "/teas/7", "en").await),
            _ => drop(other.cache.evict_prefix("http").await.expect("the server answers")),
        }
        sees(&one, value + u64::from(way == 2)).await;
    }
    // Its own evicts at once, and those of a request that writes.
    for way in 0..4 {
        one.warm("/teas/7").await;
        let value = 1 + row.fetch_add(1, Ordering::SeqCst);
        match way {
            0 => one.cache.scope(change(7)).await,
            1 => {
                one.cache.evict_tags([cachemacro_http::url_tag("shop", "/teas/7")]).await.expect("it answers")
            }
            2 => drop(one.ask("DELETE", "/teas/7", "en").await),
            _ => drop(one.ask("PUT", "/teas/7", "").await),
        }
        let value = value + u64::from(way >= 2);
        for language in ["en", "de"] {
            // What a write leaves is the same in all languages.
            let language = if way == 3 { "" } else { language };
            let (_, text) = one.ask("GET", "/teas/7", language).await;
            assert_eq!(text, format!("tea 7: {value} {language}"), "way {way}");
        }
    }
    // What another process writes and stores.
    other.warm("/teas/8").await;
    one.warm("/teas/8").await;
    let (_, text) = other.ask("PUT", "/teas/8", "").await;
    wait_until("the change is seen", DEADLINE, async || one.ask("GET", "/teas/8", "de").await.1 == text)
        .await;
    // And it is kept again.
    let before = one.local_hits();
    wait_until("it is kept here", DEADLINE, async || {
        one.get("/teas/8").await.1 == text && one.local_hits() > before
    })
    .await;
}

/// Upholds G1 and G2: of a request that writes, and was dropped, the evict is on its way.
#[tokio::test]
async fn what_a_dropped_write_may_have_outdated_is_not_taken_from_the_process() {
    let (server, row) = (RedisServer::start(), Arc::<AtomicU64>::default());
    let mut client = server.client().await;
    let process = Process::new(&server, &namespace(), &row, Some("1h"));
    process.warm("/teas/7").await;
    let never = delete(async || std::future::pending::<&str>().await);
    let never = Router::new().route("/teas/{id}", never.layer(process.http.evict().tags(["tea:{id}"])));
    run(&mut client, "CLIENT PAUSE 3600000 WRITE").await;
    {
        let request = Request::delete("/teas/7").header("host", "shop").body(Body::empty()).unwrap();
        let mut call = std::pin::pin!(never.oneshot(request));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    row.fetch_add(1, Ordering::SeqCst);
    let before = process.local_hits();
    let mut asked = std::pin::pin!(process.get("/teas/7"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(asked.as_mut().poll(&mut context).is_pending(), "nothing answers while the evict is on its way");
    run(&mut client, "CLIENT UNPAUSE").await;
    assert_eq!(asked.await, ("MISS".to_owned(), "tea 7: 1 en".to_owned()));
    assert_eq!(process.local_hits(), before);
}

/// Beside a server too, each is asked once, whether or not anything is held in the process.
#[tokio::test]
async fn what_a_route_asks_about_a_request_it_asks_once() {
    let server = RedisServer::start();
    for local in [None, Some("1h")] {
        let cache = Cache::builder().redis(server.url()).namespace(&namespace()).build().expect("acceptable");
        let http = HttpCache::new(cache.clone());
        let asked = Arc::<AtomicU64>::default();
        let count = |by: u64| {
            let asked = asked.clone();
            move || asked.fetch_add(by, Ordering::SeqCst) < u64::MAX
        };
        let (condition, identity, key) = (count(1), count(1_000), count(1_000_000));
        let mut layer = http.cache().condition(move |_| condition());
        layer = layer.private(move |_| identity().then_some(7)).key(move |_| key().to_string());
        if let Some(local) = local {
            layer = layer.local(local);
        }
        let app = Router::new().route("/", get(async || "tea").layer(layer));
        let ask = async || {
            let before = asked.load(Ordering::SeqCst);
            let request = Request::get("/").body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(asked.load(Ordering::SeqCst) - before, 1_001_001);
            response.headers()["x-cache"] == "HIT"
        };
        assert!(!ask().await);
        cache.stored().await;
        assert!(ask().await);
        if local.is_some() {
            let hits = || cache.stats().total.local_hits;
            wait_until("it is kept here", DEADLINE, async || {
                let before = hits();
                ask().await && hits() > before
            })
            .await;
        }
    }
}

/// Upholds G3 and G6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_of_the_server_nothing_is_kept_in_the_process() {
    let (mut server, row) = (RedisServer::start(), Arc::<AtomicU64>::default());
    let process = Process::new(&server, &namespace(), &row, Some("1h"));
    process.warm("/teas/7").await;
    tokio::task::block_in_place(|| server.stop());
    row.fetch_add(1, Ordering::SeqCst);
    wait_until("the handler answers", DEADLINE, async || process.get("/teas/7").await.1 == "tea 7: 1 en")
        .await;
    let before = process.local_hits();
    assert_eq!(process.get("/teas/7").await.0, "BYPASS");
    assert_eq!(process.local_hits(), before);
    tokio::task::block_in_place(|| server.restart());
    process.warm("/teas/7").await;
}
