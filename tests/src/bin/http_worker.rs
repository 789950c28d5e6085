//! One of several processes that serve the same routes from one cache, with clients of its own; see `tests/redis/http.rs`, and
//! `cachemacro_tests::history` for how what they see is checked.
//!
//! Arguments as those of `history_worker`. `race URI CLIENTS` asks for one URL as often at once and says how often its handler ran here,
//! and within which time 99 of 100 were answered, in milliseconds. After `play` it answers `counts`, `stop` and `report`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use bytes::Bytes;
use cachemacro::{Cache, cache_config, cache_evict, cached};
use cachemacro_http::HttpCache;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_tests::history::{Database, Incident, Kind, Plan, Report, Row, micros};
use cachemacro_tests::worker::{commands, say};
use cachemacro_tests::{Dice, LONG};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

/// How long a handler of the race takes.
const HANDLER: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Shop {
    cache: Cache,
    database: Database,
    runs: Arc<AtomicU64>,
}

#[cache_config(cache = self.cache)]
impl Shop {
    async fn query(&self, kind: Kind, id: u64) -> Result<Row> {
        let at = micros();
        let stamp = self.database.stamp().await?;
        sleep(Duration::from_micros(stamp % 4_000)).await;
        Ok(Row { kind, id, stamp, at })
    }

    #[cached(prefix = "row", key = "{id}", ttl = "5m", tags = ["tagged", "tagged:{id}"])]
    async fn row(&self, id: u64) -> Result<Row> {
        self.query(Kind::Tagged, id).await
    }

    #[cache_evict(tags = ["tagged:{id}"], on_evict_error = "return")]
    async fn change(&self, id: u64) -> Result<Row> {
        self.query(Kind::Tagged, id).await
    }

    #[cache_evict(tags = ["tagged"], on_evict_error = "return")]
    async fn change_all(&self) -> Result<Row> {
        self.query(Kind::Tagged, 0).await
    }
}

/// What a page shows: a row, for whom, and in which language.
fn page(row: &Row, headers: &HeaderMap) -> Response {
    let user = headers.get("authorization").map_or("", |user| user.to_str().unwrap_or_default());
    let language =
        headers.get("accept-language").map_or("", |language| language.to_str().unwrap_or_default());
    let text = format!("{}|{user}|{language}", serde_json::to_string(row).unwrap_or_default());
    ([("vary", "accept-language")], text).into_response()
}

fn failed(error: &anyhow::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}

async fn of_function(State(shop): State<Shop>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
    shop.row(id).await.map_or_else(|error| failed(&error), |row| page(&row, &headers))
}

async fn of_database(State(shop): State<Shop>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
    shop.query(Kind::Plain, id).await.map_or_else(|error| failed(&error), |row| page(&row, &headers))
}

async fn slow(State(shop): State<Shop>) -> &'static str {
    shop.runs.fetch_add(1, Ordering::SeqCst);
    sleep(HANDLER).await;
    "slow"
}

fn app(shop: &Shop) -> Router {
    let http = HttpCache::new(shop.cache.clone());
    let user = |request: &http::request::Parts| {
        request.headers.get("authorization").and_then(|user| user.to_str().ok().map(str::to_owned))
    };
    let written = ["plain:{id}"];
    let plain = get(of_database)
        .layer(http.cache().ttl("5m").tags(written))
        .merge(put(of_database).layer(http.put().ttl("5m").tags(written).on_evict_error(503)));
    Router::new()
        .route("/rows/{id}", get(of_function).layer(http.cache().ttl("1h").stale("1h")))
        .route("/mine/{id}", get(of_function).layer(http.cache().ttl("1h").private(user)))
        .route("/plain/{id}", plain)
        .route("/slow/{id}", get(slow).layer(http.cache().ttl("1m")))
        .with_state(shop.clone())
}

async fn ask(app: &Router, method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(StatusCode, Bytes)> {
    let mut request = Request::builder().method(method).uri(uri).header("host", "shop");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.clone().oneshot(request.body(Body::empty())?).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

/// One client.
struct Client {
    app: Router,
    shop: Shop,
    report: Arc<Mutex<Report>>,
    dice: Dice,
    rows: u64,
    rest_millis: u64,
}

impl Client {
    async fn play(mut self, over: Arc<AtomicBool>) -> Result<()> {
        while !over.load(Ordering::SeqCst) {
            sleep(Duration::from_micros(self.dice.below(1 + 2_000 * self.rest_millis))).await;
            let id = self.dice.below(self.rows);
            match self.dice.below(100) {
                0..4 => self.evict(id).await?,
                4 => self.evict_all().await?,
                5..7 => self.put(id).await?,
                _ => self.read(id).await?,
            }
        }
        Ok(())
    }

    async fn read(&mut self, id: u64) -> Result<()> {
        let (path, kind) = self.dice.pick(&[
            ("rows", Kind::Tagged),
            ("rows", Kind::Tagged),
            ("mine", Kind::Tagged),
            ("plain", Kind::Plain),
        ]);
        let user = self.dice.pick(&["", "a", "b", "c"]);
        let language = self.dice.pick(&["en", "de"]);
        let view = self.dice.pick(&["", "?view=short"]);
        let uri = format!("/{path}/{id}{view}");
        let floor = self.shop.database.floors(kind, &[id]).await?[0];
        let began = micros();
        let mut headers = vec![("accept-language", language)];
        if !user.is_empty() {
            headers.push(("authorization", user));
        }
        let (status, body) = ask(&self.app, "GET", &uri, &headers).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let incident = |outcome: String| Incident {
            call: "GET".to_owned(),
            about: uri.clone(),
            began,
            ended: micros(),
            outcome,
        };
        let mut report = self.report.lock().expect("no client panics");
        report.counts.calls += 1;
        if status != StatusCode::OK {
            report.errors.push(incident(format!("{status}: {text}")));
            return Ok(());
        }
        report.counts.reads += 1;
        let parts: Vec<&str> = text.split('|').collect();
        let row: Row = serde_json::from_str(parts[0])?;
        if (row.kind, row.id, parts[1], parts[2]) != (kind, id, user, language) {
            report.strange.push(incident(format!("{text} for {user:?} in {language}")));
        } else if row.stamp < floor {
            report.counts.stale += 1;
            report.stale.push(incident(format!("{text}, evicted at {floor}")));
        }
        Ok(())
    }

    fn acknowledged(&self) {
        let mut report = self.report.lock().expect("no client panics");
        report.counts.calls += 1;
        report.counts.evicts += 1;
    }

    async fn evict(&self, id: u64) -> Result<()> {
        if let Ok(row) = self.shop.change(id).await {
            self.shop.database.raise(Kind::Tagged, id, row.stamp).await?;
            self.acknowledged();
        }
        Ok(())
    }

    async fn evict_all(&self) -> Result<()> {
        if let Ok(row) = self.shop.change_all().await {
            self.shop.database.raise_all(Kind::Tagged, row.stamp).await?;
            self.acknowledged();
        }
        Ok(())
    }

    async fn put(&self, id: u64) -> Result<()> {
        let (status, body) =
            ask(&self.app, "PUT", &format!("/plain/{id}"), &[("accept-language", "en")]).await?;
        if status == StatusCode::OK {
            let text = String::from_utf8_lossy(&body).into_owned();
            let row: Row = serde_json::from_str(text.split('|').next().unwrap_or_default())?;
            self.shop.database.raise(Kind::Plain, id, row.stamp).await?;
            self.acknowledged();
        } else if status != StatusCode::SERVICE_UNAVAILABLE {
            bail!("a put was answered with {status}");
        }
        Ok(())
    }
}

async fn race(app: &Router, uri: &str, clients: usize) -> Result<Duration> {
    let mut racers = JoinSet::new();
    for _ in 0..clients {
        let (app, uri) = (app.clone(), uri.to_owned());
        racers.spawn(async move {
            let began = Instant::now();
            let (status, body) = ask(&app, "GET", &uri, &[]).await?;
            anyhow::ensure!(status == StatusCode::OK && body == "slow", "{status}");
            Ok(began.elapsed())
        });
    }
    let mut times = racers.join_all().await.into_iter().collect::<Result<Vec<Duration>>>()?;
    times.sort_unstable();
    Ok(times[times.len() * 99 / 100])
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [url, database, namespace, seed, plan] = args[..] else { bail!("five arguments, please") };
    let plan: Plan = serde_json::from_str(plan)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let builder = if plan.patient {
            let config = RedisConfig::new(url).connect_timeout(LONG).command_timeout(LONG).pool_wait(LONG);
            Cache::builder().store(Arc::new(RedisStore::new(config)?))
        } else {
            Cache::builder().redis(url)
        };
        let cache = builder.namespace(namespace).build()?;
        cache.connect().await?;
        let shop = Shop { cache, database: Database::connect(database).await, runs: Arc::default() };
        serve(shop, &plan, Dice::new(seed.parse()?)).await
    })
}

async fn serve(shop: Shop, plan: &Plan, mut dice: Dice) -> Result<()> {
    let app = app(&shop);
    let (over, report) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Report::default())));
    let mut clients = Vec::new();
    say("ready");
    loop {
        let Some(command) = tokio::task::spawn_blocking(|| commands().next()).await? else { return Ok(()) };
        match command.split(' ').collect::<Vec<_>>()[..] {
            ["race", uri, count] => {
                let time = race(&app, uri, count.parse()?).await?;
                say(format_args!("raced {} {}", shop.runs.swap(0, Ordering::SeqCst), time.as_millis()));
            }
            ["play"] => clients.extend((0..plan.tasks).map(|_| {
                let client = Client {
                    app: app.clone(),
                    shop: shop.clone(),
                    report: report.clone(),
                    dice: dice.split(),
                    rows: plan.rows,
                    rest_millis: plan.rest_millis,
                };
                tokio::spawn(client.play(over.clone()))
            })),
            ["stop"] => {
                over.store(true, Ordering::SeqCst);
                for client in clients.drain(..) {
                    client.await.context("a client panicked")??;
                }
                say("stopped");
            }
            ["counts"] => {
                let mut counts = report.lock().expect("no client panics").counts.clone();
                let total = shop.cache.stats().total;
                (counts.hits, counts.refused) = (total.hits, total.refused_fills);
                say(format_args!("counts {}", serde_json::to_string(&counts)?));
            }
            ["count", _] => say("counted"),
            ["report"] => {
                let mut told = report.lock().expect("no client panics").clone();
                told.counts.hits = shop.cache.stats().total.hits;
                told.undelivered = shop.cache.shutdown().await.err().map_or(0, |left| left.count());
                say(format_args!("report {}", serde_json::to_string(&told)?));
                return Ok(());
            }
            _ => bail!("unknown command: {command}"),
        }
    }
}
