//! Many requests at once: one run for what may be shared, side by side for what may not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Got, Handler, Rig, get, request, response, send};

/// So many requests at once.
async fn all(
    layer: &cachemacro_http::CacheLayer,
    handler: &Handler,
    headers: Vec<Vec<(&'static str, &'static str)>>,
) -> Vec<Got> {
    let mut tasks = JoinSet::new();
    for headers in headers {
        let (layer, handler) = (layer.clone(), handler.clone());
        tasks.spawn(async move { get(&layer, &handler, &headers).await });
    }
    tasks.join_all().await
}

fn slow(headers: &'static [(&'static str, &'static str)]) -> Handler {
    Handler::new(move |request| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let language = request.headers().get("accept-language").map_or("-", |value| value.to_str().unwrap());
        response(200, headers, language)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_url_is_one_run() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), slow(&[]));
    let got = all(&layer, &handler, vec![vec![]; 1000]).await;
    assert_eq!((handler.runs(), got.len()), (1, 1000));
    assert_eq!(got.iter().filter(|got| got.word() == "MISS").count(), 1);
    assert!(got.iter().any(|got| got.header("cache-status").contains("collapsed")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_stored_is_waited_for_once_and_then_never() {
    let rig = Rig::new();
    let barrier = Arc::new(Barrier::new(99));
    let layer = rig.http.cache();
    let handler = Handler::new(move |request| {
        let barrier = barrier.clone();
        async move {
            // All but the first run at once, or this never ends.
            if !request.headers().contains_key("x-first") {
                barrier.wait().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            response(200, &[("cache-control", "private")], "")
        }
    });
    let first = {
        let (layer, handler) = (layer.clone(), handler.clone());
        tokio::spawn(async move { get(&layer, &handler, &[("x-first", "1")]).await })
    };
    while handler.runs() == 0 {
        tokio::task::yield_now().await;
    }
    let waited = tokio::time::timeout(Duration::from_secs(20), all(&layer, &handler, vec![vec![]; 99]));
    assert_eq!(waited.await.expect("they wait for each other").len(), 99);
    first.await.unwrap();
    let again = tokio::time::timeout(Duration::from_secs(20), all(&layer, &handler, vec![vec![]; 99]));
    let again = again.await.expect("they wait for each other");
    let says = |got: &Got| got.header("cache-status").to_owned();
    assert!(again.iter().all(|got| says(got).ends_with("detail=uncacheable")), "{:?}", says(&again[0]));
}

/// In time that passes only where everybody waits for it: the handler takes 50 ms.
#[tokio::test(start_paused = true)]
async fn a_hundred_clients_of_what_may_not_be_stored_wait_for_one_run_and_then_for_none() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), slow(&[("cache-control", "private")]));
    for (most, runs) in [(110, 100), (65, 200), (65, 300)] {
        let began = tokio::time::Instant::now();
        assert_eq!(all(&layer, &handler, vec![vec![]; 100]).await.len(), 100);
        let took = began.elapsed();
        assert!(took <= Duration::from_millis(most), "{took:?}");
        assert_eq!(handler.runs(), runs);
    }
}

/// The first user's handler never ends.
#[tokio::test]
async fn a_request_with_credentials_waits_for_no_other_s_handler() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        let user = request.headers()["authorization"].to_str().unwrap().to_owned();
        if user == "first" {
            std::future::pending::<()>().await;
        }
        response(200, &[], &user)
    });
    for (at, layer) in [rig.http.cache(), rig.http.gateway()].into_iter().enumerate() {
        let before = handler.runs();
        let first = {
            let (layer, handler) = (layer.clone(), handler.clone());
            tokio::spawn(async move { get(&layer, &handler, &[("authorization", "first")]).await })
        };
        while handler.runs() == before {
            tokio::task::yield_now().await;
        }
        let others = tokio::time::timeout(
            Duration::from_secs(5),
            all(&layer, &handler, vec![vec![("authorization", "other")]; 100]),
        );
        let others = others.await.unwrap_or_else(|_| panic!("they wait for the first, {at}"));
        assert!(others.iter().all(|got| got.body == "other"));
        first.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_wait_for_each_other_where_a_response_said_that_they_share_it() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), slow(&[("cache-control", "public")]));
    let user = || vec![("authorization", "a")];
    assert_eq!(all(&layer, &handler, vec![user()]).await[0].word(), "MISS");
    assert_eq!(all(&layer, &handler, vec![user()]).await[0].word(), "HIT");
    rig.pass(60);
    all(&layer, &handler, vec![user(); 100]).await;
    assert_eq!(handler.runs(), 2);
}

#[tokio::test]
async fn a_response_that_may_be_stored_again_is() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    get(&layer, &Handler::counting(&[("cache-control", "no-store")]), &[]).await;
    let handler = Handler::counting(&[]);
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS", "it was not looked for");
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
    assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
}

/// Anybody can ask for what is refused, and the whole URL is remembered for it.
#[tokio::test]
async fn a_response_that_is_refused_hides_nothing_that_is_stored() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("10s").stale("1h");
    let handler = Handler::new(|request| async move {
        response(if request.headers().contains_key("x-refused") { 406 } else { 200 }, &[], "text")
    });
    // A directive, so that what is held ready does not answer.
    let asks = [("cache-control", "max-age=1000")];
    get(&layer, &handler, &asks).await;
    rig.pass(5);
    let refused = [("cache-control", "no-cache"), ("x-refused", "1")];
    assert_eq!(get(&layer, &handler, &refused).await.status, 406);
    for _ in 0..3 {
        assert_eq!(get(&layer, &handler, &asks).await.word(), "HIT");
    }
    assert_eq!(get(&layer, &handler, &[("cache-control", "only-if-cached")]).await.status, 200);
    assert_eq!(handler.runs(), 2);
    // Nor what is stale: it serves, it is made anew beside that, and it stands in.
    rig.pass(10);
    assert_eq!(get(&layer, &handler, &refused).await.status, 406);
    let broken = Handler::new(|_| async { response(503, &[], "") });
    assert_eq!(get(&layer, &broken, &[("cache-control", "max-age=1")]).await.word(), "STALE");
    assert_eq!(get(&layer, &handler, &asks).await.word(), "STALE");
    for tries in 0.. {
        if get(&layer, &handler, &asks).await.word() == "HIT" {
            break;
        }
        assert!(tries < 1_000);
        tokio::task::yield_now().await;
    }
    // Who waits when the URL is found to be one of those looks once more, too.
    let only = get(&layer, &handler, &[("cache-control", "only-if-cached")]).await;
    assert_eq!((only.status.as_u16(), only.word()), (200, "HIT"));
}

/// Whoever waits twice, for the URL's first response and then for the variant, waits no longer.
#[tokio::test(start_paused = true)]
async fn no_request_waits_longer_than_ten_seconds() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let handler = Handler::new(|request| async move {
        if request.headers()["x-kind"] == "first" {
            tokio::time::sleep(Duration::from_secs(9)).await;
        } else {
            std::future::pending::<()>().await;
        }
        response(200, &[("vary", "x-kind")], "")
    });
    let began = tokio::time::Instant::now();
    let mut tasks = JoinSet::new();
    for kind in ["first", "second", "second"] {
        let (mine, run) = (layer.clone(), handler.clone());
        tasks.spawn(async move { get(&mine, &run, &[("x-kind", kind)]).await });
        while handler.runs() == 0 {
            tokio::task::yield_now().await;
        }
    }
    while handler.runs() < 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{} runs", handler.runs());
    }
    assert!(began.elapsed() <= Duration::from_millis(10_200), "{:?}", began.elapsed());
    tasks.abort_all();
}

/// What a handler holds while it runs.
struct Held(Arc<std::sync::atomic::AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_ends_with_its_lease() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("10s").stale("1h").lease_limit("20s");
    let ended = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let handler = {
        let ended = ended.clone();
        let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        Handler::new(move |_| {
            let hangs = runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0;
            let ended = ended.clone();
            async move {
                if hangs {
                    let _held = Held(ended);
                    std::future::pending::<()>().await;
                }
                response(200, &[], "")
            }
        })
    };
    get(&layer, &handler, &[]).await;
    rig.pass(15);
    assert_eq!(get(&layer, &handler, &[]).await.word(), "STALE");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.runs(), 2);
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(get(&layer, &handler, &[]).await.word(), "STALE", "and it is tried again");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.runs(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_languages_at_once_get_their_own() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), slow(&[("vary", "accept-language")]));
    let language = |at: usize| ["en", "de"][at % 2];
    let mut tasks = JoinSet::new();
    for at in 0..40 {
        let (layer, handler) = (layer.clone(), handler.clone());
        tasks.spawn(
            async move { (at, get(&layer, &handler, &[("accept-language", language(at))]).await.body) },
        );
    }
    for (at, body) in tasks.join_all().await {
        assert_eq!(body, language(at));
    }
    assert_eq!(handler.runs(), 2);
    for language in ["en", "de"] {
        let got = get(&layer, &handler, &[("accept-language", language)]).await;
        assert_eq!((got.word(), got.body.as_str()), ("HIT", language));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_at_once_are_one_run() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), slow(&[]));
    get(&layer, &handler, &[]).await;
    rig.pass(5);
    all(&layer, &handler, vec![vec![("cache-control", "no-cache")]; 50]).await;
    assert_eq!(handler.runs(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_at_once_are_one_run_whatever_else_they_ask_for() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), slow(&[]));
    get(&layer, &handler, &[]).await;
    rig.pass(5);
    let mut tasks = JoinSet::new();
    for at in 0..60 {
        let (layer, handler) = (layer.clone(), handler.clone());
        let (method, headers): (&str, &[(&str, &str)]) = [
            ("GET", &[("cache-control", "no-cache")][..]),
            ("GET", &[("cache-control", "no-cache, no-store")]),
            ("HEAD", &[("cache-control", "max-age=0")]),
            ("GET", &[("cache-control", "no-cache"), ("range", "bytes=0-0")]),
        ][at % 4];
        let request = request(method, "/a", headers);
        tasks.spawn(async move { send(&layer, &handler, request).await });
    }
    let got = tasks.join_all().await;
    assert_eq!(handler.runs(), 2);
    assert_eq!(got.iter().filter(|got| got.status == 206).count(), 15);
}

/// A body whose length nobody knows before its end.
struct Unsized {
    pieces: u8,
    /// Whether each piece takes its time.
    pends: bool,
    pended: bool,
}

impl http_body::Body for Unsized {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        use std::task::Poll;
        self.pended = self.pends && !self.pended;
        if self.pended {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pieces == 0 {
            return Poll::Ready(None);
        }
        self.pieces -= 1;
        Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"0123456789")))))
    }
}

/// A limit on bodies keeps a response from being stored as any other reason does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_to_be_stored_is_waited_for_once_and_then_never() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Kind {
        Known,
        /// Within the limit, were it not for its header section.
        WithHeaders,
        AtOnce,
        BitByBit,
    }
    for kind in [Kind::Known, Kind::WithHeaders, Kind::AtOnce, Kind::BitByBit] {
        let cache = cachemacro::Cache::builder().memory().max_value(200).build().unwrap();
        let layer = cachemacro_http::HttpCache::new(cache).cache();
        // A response of 20 bytes is stored, and one of 30 is not.
        let layer = if kind == Kind::WithHeaders { layer } else { layer.max_body(25) };
        let barrier = Arc::new(Barrier::new(99));
        let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let ran = runs.clone();
        let service = tower::service_fn(move |request: http::Request<crate::support::Body>| {
            let (barrier, ran) = (barrier.clone(), ran.clone());
            async move {
                ran.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let pieces = if let Some(pieces) = request.headers().get("x-pieces") {
                    pieces.to_str().unwrap().parse().unwrap()
                } else {
                    // All but the first run at once, or this never ends.
                    barrier.wait().await;
                    3
                };
                tokio::time::sleep(Duration::from_millis(20)).await;
                let body = if matches!(kind, Kind::Known | Kind::WithHeaders) {
                    use http_body_util::BodyExt as _;
                    http_body_util::Full::from("0123456789".repeat(usize::from(pieces))).boxed()
                } else {
                    use http_body_util::BodyExt as _;
                    Unsized { pieces, pends: kind == Kind::BitByBit, pended: false }.boxed()
                };
                let mut response = http::Response::new(body);
                if kind == Kind::WithHeaders {
                    let text = "x".repeat(usize::from(pieces) * 40);
                    response.headers_mut().insert("x-text", text.parse().unwrap());
                }
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let ask = |pieces: Option<&'static str>| {
            use tower::{Layer as _, ServiceExt as _};
            let headers: Vec<_> = pieces.iter().map(|pieces| ("x-pieces", *pieces)).collect();
            let call = layer.layer(service.clone()).oneshot(request("GET", "/a", &headers));
            async move {
                let (head, body) = call.await.unwrap().into_parts();
                let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
                (head.headers["x-cache"].to_str().unwrap().to_owned(), body.len())
            }
        };
        let first = tokio::spawn(ask(Some("3")));
        while runs.load(std::sync::atomic::Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            let mut tasks = JoinSet::new();
            for _ in 0..99 {
                tasks.spawn(ask(None));
            }
            // Half of what they would wait for each other.
            let all = tokio::time::timeout(Duration::from_secs(5), tasks.join_all()).await;
            let all = all.unwrap_or_else(|_| panic!("they wait for each other, {kind:?}"));
            assert!(all.iter().all(|got| *got == ("MISS".to_owned(), 30)), "{kind:?}: {all:?}");
        }
        assert_eq!(first.await.unwrap().1, 30);
        // Once it is small enough it is stored again. The body is stored a moment after it was sent.
        assert_eq!(ask(Some("2")).await, ("MISS".to_owned(), 20), "{kind:?}");
        let mut tries = 0;
        while ask(Some("2")).await.0 != "HIT" {
            tries += 1;
            assert!(tries < 1_000, "{kind:?}");
            tokio::task::yield_now().await;
        }
    }
}
