//! Responses of several processes on one store: one run for a cold URL, and evicts by functions that reach all of them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cachemacro::{ErrorKind, cache_evict, cached};
use cachemacro_http::{CacheLayer, HttpCache};
use cachemacro_tests::{Process, Rig, on_both_stores};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::task::JoinSet;
use tower::{Layer as _, Service, ServiceExt as _};

#[cached(prefix = "http-user", key = "{id}", ttl = "5m", tags = ["http-users"])]
async fn user(id: u64, name: String) -> String {
    format!("{id} {name}")
}

#[cache_evict(tags = ["http-users"])]
async fn rename(_id: u64) {}

/// A handler that shows a user, and counts its runs.
#[derive(Clone)]
struct Show {
    process: Process,
    runs: Arc<AtomicUsize>,
    name: &'static str,
    takes: Duration,
}

impl Show {
    fn new(process: &Process, name: &'static str) -> Self {
        Self { process: process.clone(), runs: Arc::default(), name, takes: Duration::ZERO }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Service<Request<Full<Bytes>>> for Show {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let Self { process, name, takes, .. } = self.clone();
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            let shown = process.cache.scope(user(7, name.to_owned())).await;
            let mut response = Response::new(Full::from(shown));
            if let Some(language) = request.headers().get("accept-language") {
                let says = [("vary", "accept-language".parse().unwrap()), ("x-language", language.clone())];
                for (name, value) in says {
                    response.headers_mut().insert(name, value);
                }
            }
            Ok(response)
        })
    }
}

fn layer(process: &Process) -> CacheLayer {
    HttpCache::new(process.cache.clone()).cache().ttl("5m")
}

/// What the layer of this process answers: HIT or MISS, the body, and the language.
async fn get(layer: &CacheLayer, show: &Show, headers: &[(&str, &str)]) -> (String, String, String) {
    let mut request = Request::get("/users/7").header("host", "shop");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::default()).expect("a request");
    let response = layer.layer(show.clone()).oneshot(request).await.expect("it never fails");
    let header = |name: &str| {
        response.headers().get(name).map_or(String::new(), |value| value.to_str().expect("text").to_owned())
    };
    let (word, language) = (header("x-cache"), header("x-language"));
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (word, String::from_utf8(body.to_vec()).expect("text"), language)
}

async fn a_cold_url_is_one_run_in_all_processes(rig: Rig) {
    let processes = [rig.process(), rig.process(), rig.process()];
    let shows = processes
        .each_ref()
        .map(|process| Show { takes: Duration::from_millis(50), ..Show::new(process, "Ada") });
    let mut callers = JoinSet::new();
    for (process, show) in processes.iter().zip(&shows) {
        let layer = layer(process);
        for _ in 0..50 {
            let (layer, show) = (layer.clone(), show.clone());
            callers.spawn(async move { get(&layer, &show, &[]).await });
        }
    }
    let answers = callers.join_all().await;
    assert!(answers.iter().all(|(_, body, _)| body == "7 Ada"));
    assert_eq!(shows.iter().map(Show::runs).sum::<usize>(), 1);
    assert_eq!(answers.iter().filter(|(word, ..)| word == "MISS").count(), 1);
}

/// Upholds G1.
async fn an_evict_by_a_function_of_one_process_is_seen_by_the_routes_of_others(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let (first, second) = (layer(&here), layer(&there));
    let (old, new) = (Show::new(&here, "Ada"), Show::new(&there, "Ada Lovelace"));
    get(&first, &old, &[]).await;
    assert_eq!(get(&second, &new, &[]).await.0, "HIT");
    here.cache.scope(rename(7)).await;
    let after = get(&second, &new, &[]).await;
    assert_eq!((after.0.as_str(), after.1.as_str()), ("MISS", "7 Ada Lovelace"));
    assert_eq!(get(&first, &old, &[]).await.1, "7 Ada Lovelace");
}

async fn each_language_is_stored_once_for_all_processes(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let (first, second) = (layer(&here), layer(&there));
    let show = Show::new(&here, "Ada");
    for language in ["en", "de", "fr"] {
        assert_eq!(get(&first, &show, &[("accept-language", language)]).await.0, "MISS");
    }
    for language in ["de", "fr", "en"] {
        let got = get(&second, &show, &[("accept-language", language)]).await;
        assert_eq!((got.0.as_str(), got.2.as_str()), ("HIT", language));
    }
}

/// Upholds G6.
async fn a_store_that_fails_costs_nothing_but_speed(rig: Rig) {
    let process = rig.process();
    let (layer, show) = (layer(&process), Show::new(&process, "Ada"));
    get(&layer, &show, &[]).await;
    assert_eq!(get(&layer, &show, &[]).await.0, "HIT", "it waits for the fill");
    process.faults.fail_all(ErrorKind::Timeout);
    let got = get(&layer, &show, &[]).await;
    assert_eq!((got.0.as_str(), got.1.as_str()), ("BYPASS", "7 Ada"));
    process.faults.heal();
    assert_eq!(get(&layer, &show, &[]).await.0, "HIT");
}

on_both_stores! {
    a_cold_url_is_one_run_in_all_processes,
    an_evict_by_a_function_of_one_process_is_seen_by_the_routes_of_others,
    each_language_is_stored_once_for_all_processes,
    a_store_that_fails_costs_nothing_but_speed,
}
