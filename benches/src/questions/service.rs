//! What a whole service gains.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use airports::load::{Client, Mix, Request};
use airports::repository::Repository;
use airports::service::Airports;
use airports::{data, routes};
use cachemacro::Cache;
use tokio::net::TcpListener;

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::proxy;
use crate::ground::rounds::{Effort, millis};
use crate::ground::server::{Server, url};

pub const QUESTION: Question = Question {
    name: "service",
    title: "A whole service",
    method: "The example `airports`: HTTP and JSON over SQLite with 28,298 rows; 60 % lookups, 15 % searches, 10 % surroundings, \
        13 % statistics, 2 % writes, which evict by themselves, by Zipf's law with exponent 1. 64 callers on open connections send \
        the next request when they have the answer, in the same process on the same two processors. Each cache was filled \
        for two seconds before, over a database that is near. Distances are added to every statement of the database and to every round trip to Redis; where a \
        statement takes 250 ms, Redis is 1 ms away. What caching is said to bring is 60 to 90 % less load of the database and \
        answers that are 200 to 500 ms faster: the last table says what of it was measured, on which distance. Milliseconds \
        can only be saved where the database takes as many.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

const CALLERS: usize = 64;
const SKEW: f64 = 1.0;
const SEED: u64 = 1;

/// How far away things are.
struct Scenario {
    name: &'static str,
    database: Duration,
    redis: Duration,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "beside it", database: Duration::ZERO, redis: Duration::ZERO },
    Scenario { name: "1 ms away", database: Duration::from_millis(1), redis: Duration::from_millis(1) },
    Scenario { name: "5 ms away", database: Duration::from_millis(5), redis: Duration::from_millis(5) },
    Scenario {
        name: "statements of 250 ms",
        database: Duration::from_millis(250),
        redis: Duration::from_millis(1),
    },
];

const STORES: [&str; 4] = ["caching off", "in memory", "on Redis", "on Redis, with local copies"];

/// One service under load.
struct Service {
    airports: Airports,
    address: SocketAddr,
    requests: Arc<Mutex<Box<dyn Iterator<Item = Request> + Send>>>,
}

/// What one turn gave.
struct Given {
    times: Vec<Duration>,
    took: Duration,
    queries: f64,
}

impl Service {
    async fn start(file: &Path, distance: Duration, cache: Cache) -> Self {
        let repository = Repository::open(file, &cache).await.expect("a database").distant(distance);
        let airports = Airports::new(repository, cache);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let serving = axum::serve(listener, routes::router(airports.clone(), &routes::pages(&airports)));
        tokio::spawn(serving.into_future());
        // The same requests for all, and the table lives as long as the process.
        let all: &'static [_] = Vec::leak(data::bundled().expect("the bundled file is whole"));
        let requests: Box<dyn Iterator<Item = Request> + Send> = Box::new(Mix::new(all, SKEW, SEED));
        Self { airports, address, requests: Arc::new(Mutex::new(requests)) }
    }

    async fn turn(&self, time: Duration) -> Given {
        let before = self.airports.repository().queries();
        let began = Instant::now();
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (address, requests) = (self.address, Arc::clone(&self.requests));
            callers.push(tokio::spawn(async move {
                let mut client = Client::connect(address).await.expect("it listens");
                let mut times = Vec::new();
                while began.elapsed() < time {
                    let next = requests.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let sent = Instant::now();
                    client.send(&next.expect("there are always more")).await.expect("it answers");
                    times.push(sent.elapsed());
                }
                times
            }));
        }
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.await.expect("nobody panics"));
        }
        let took = began.elapsed();
        times.sort_unstable();
        Given { times, took, queries: (self.airports.repository().queries() - before) as f64 }
    }
}

impl Given {
    fn quantile(&self, percent: usize) -> f64 {
        millis(self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)])
    }

    fn mean(&self) -> f64 {
        millis(self.times.iter().sum::<Duration>()) / self.times.len() as f64
    }

    fn queries_each(&self) -> f64 {
        self.queries / self.times.len() as f64
    }
}

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let loaded = folder.path().join("loaded.sqlite");
        let repository =
            Repository::open(&loaded, &Cache::builder().disabled(true).build().expect("acceptable"))
                .await
                .expect("a database");
        repository.import(&data::bundled().expect("the bundled file is whole")).await.expect("room for it");
        repository.close().await;

        let mut tables = Vec::new();
        let mut promise = Table::new("What caching saves");
        for scenario in &SCENARIOS {
            let mut services = Vec::new();
            for store in STORES {
                let file = folder.path().join(format!("{}-{store}.sqlite", scenario.name));
                std::fs::copy(&loaded, &file).expect("room for it");
                let cache = cache(store, scenario, &server);
                // Its cache is warm from a database that is near, so that every scenario has as much in it.
                Service::start(&file, Duration::ZERO, cache.clone()).await.turn(effort.turn * 10).await;
                services.push(Service::start(&file, scenario.database, cache).await);
            }
            let mut table = Table::new(format!("The service, database and Redis {}", scenario.name));
            if scenario.database >= Duration::from_millis(250) {
                table.title = "The service, statements of 250 ms".into();
            }
            table.compared = true;
            for _ in 0..effort.fewer() {
                let mut off = None;
                for (store, service) in STORES.into_iter().zip(&services) {
                    let given = service.turn(effort.turn * 5).await;
                    let rate = given.times.len() as f64 / given.took.as_secs_f64();
                    table.add(store, "requests a second", Unit::PerSecond, rate);
                    table.add(store, "p50", Unit::Milliseconds, given.quantile(50));
                    table.add(store, "p99", Unit::Milliseconds, given.quantile(99));
                    let queries = 1_000.0 * given.queries_each();
                    table.add(store, "queries of 1,000 requests", Unit::Count, queries);
                    let Some(off): &Option<Given> = &off else {
                        off = Some(given);
                        continue;
                    };
                    let row = format!("{}, {store}", scenario.name);
                    let saved = 100.0 * (1.0 - given.queries_each() / off.queries_each());
                    promise.add(&row, "database queries saved", Unit::Percent, saved);
                    promise.add(&row, "mean answer faster by", Unit::Milliseconds, off.mean() - given.mean());
                    let median = off.quantile(50) - given.quantile(50);
                    promise.add(&row, "median answer faster by", Unit::Milliseconds, median);
                }
            }
            tables.push(table);
        }
        tables.push(promise);
        tables
    })
}

fn cache(store: &str, scenario: &Scenario, server: &Server) -> Cache {
    let namespace = format!("{} {store}", scenario.name).replace([' ', ','], "-");
    let builder = Cache::builder().namespace(&namespace);
    let builder = if !store.starts_with("on Redis") {
        builder.memory().disabled(store == "caching off")
    } else if scenario.redis.is_zero() {
        builder.redis(server.url())
    } else {
        builder.redis(url(proxy::delaying(server.port(), scenario.redis)))
    };
    let builder =
        if store.ends_with("local copies") { builder.local(Duration::from_secs(30)) } else { builder };
    builder.build().expect("settings are right")
}
