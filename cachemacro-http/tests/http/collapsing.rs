//! Many requests at once: one run for what may be shared, side by side for what may not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Got, Handler, Rig, get, response};

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
    assert!(
        again
            .await
            .expect("they wait for each other")
            .iter()
            .all(|got| got.header("cache-status").contains("uncacheable") || got.word() == "MISS")
    );
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
