//! Measures what the cache saves: the same requests against the same data, with caching off and with caching on.
//!
//! Requests go over real HTTP to the service in this process, on the loopback device: the times are those that a
//! client on the same machine sees, JSON and HTTP included. Both runs start cold, with an empty cache and a fresh copy of
//! the database; nothing is warmed up, so the first load of everything counts as a query.
//!
//! With caching off, callers send as fast as they are answered. With caching on, the same requests come at the pace of
//! before: times compare only under the same traffic. (Left alone, callers would be through with the hits in no time
//! and then wait at the database, all at once.)

mod client;
mod mix;
mod report;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cachemacro::Cache;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::client::Client;
use self::mix::Mix;
pub use self::mix::Request;
pub use self::report::{Report, Run};
use crate::repository::Repository;
use crate::service::Airports;
use crate::{data, routes};

/// What to replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// How many requests at most.
    pub requests: u32,
    /// After so long the first run takes no more requests; the second one then replays as many.
    pub time: Duration,
    /// How many clients send them, each one after the other.
    pub callers: usize,
    /// The exponent of Zipf's law: 0 asks for all airports alike, 1 for the second half as often as for the first.
    pub skew: f64,
    /// Equal seeds give equal requests.
    pub seed: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self { requests: 20_000, time: Duration::from_secs(8), callers: 8, skew: 1.0, seed: 1 }
    }
}

/// Whatever stopped it.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Replays the same requests with caching off and on. `cache` makes the cache, disabled or not.
///
/// # Errors
/// Where the database, the cache's settings or HTTP fail.
pub async fn compare(
    load: &Load,
    cache: impl Fn(bool) -> cachemacro::Result<Cache>,
) -> Result<Report, Failure> {
    if load.requests == 0 || load.callers == 0 || !load.skew.is_finite() || load.skew < 0.0 {
        return Err("at least one request and one caller are needed, and a skew that is not negative".into());
    }
    let airports = data::bundled()?;
    let mut requests: Arc<[Request]> =
        Mix::new(&airports, load.skew, load.seed).take(load.requests as usize).collect();

    let folder = tempfile::tempdir()?;
    let loaded = folder.path().join("loaded.sqlite");
    let repository = Repository::open(&loaded).await?;
    repository.import(&airports).await?;
    // Closing writes everything into the one file that is copied.
    repository.close().await;

    let prepare = async |disabled| {
        let file = folder.path().join(if disabled { "off.sqlite" } else { "on.sqlite" });
        std::fs::copy(&loaded, &file)?;
        let cache = cache(disabled)?;
        // What an earlier run left in Redis is about another database.
        cache.clear().await?;
        let airports = Airports::new(Repository::open(&file).await?, cache);
        Ok::<_, Failure>(airports)
    };
    let off = run(prepare(true).await?, load.callers, Pace::Unbridled(load.time), requests.clone()).await?;
    requests = requests[..off.times.len()].into();
    let pace = Pace::Even(off.took / u32::try_from(requests.len())?.max(1));
    let on = run(prepare(false).await?, load.callers, pace, requests.clone()).await?;
    Ok(Report { load: load.clone(), airports: airports.len(), requests, off, on })
}

/// When requests are sent.
#[derive(Clone, Copy)]
enum Pace {
    /// Each caller sends the next one when it has its answer, until the time is over.
    Unbridled(Duration),
    /// One each time so much has passed, if a caller is free. Who is late counts the delay.
    Even(Duration),
}

/// Serves the airports and sends them the requests.
async fn run(
    airports: Airports,
    callers: usize,
    pace: Pace,
    requests: Arc<[Request]>,
) -> Result<Run, Failure> {
    let cache = airports.cache().clone();
    let store = cache.health().await?.store.kind;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes::router(airports.clone())).with_graceful_shutdown(async {
        // An `Err` says that the other end is gone: time to stop, too.
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let began = Instant::now();
    let next = Arc::new(AtomicU32::new(0));
    let mut clients: JoinSet<Result<Vec<Duration>, Failure>> = JoinSet::new();
    for _ in 0..callers {
        let (next, requests) = (next.clone(), requests.clone());
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut times = Vec::new();
            while pace.goes_on(began) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(at as usize) else { break };
                let due = pace.turn(began, at).await;
                client.send(request).await?;
                times.push(due.elapsed());
            }
            Ok(times)
        });
    }
    let mut times = Vec::with_capacity(requests.len());
    while let Some(done) = clients.join_next().await {
        times.append(&mut done??);
    }
    let took = began.elapsed();

    drop(stop);
    server.await??;
    airports.repository().close().await;
    let stats = cache.stats().total;
    cache.shutdown().await;
    times.sort_unstable();
    Ok(Run { store, queries: airports.repository().queries(), took, times, stats })
}

impl Pace {
    fn goes_on(self, began: Instant) -> bool {
        match self {
            Pace::Unbridled(time) => began.elapsed() < time,
            Pace::Even(_) => true,
        }
    }

    /// Waits until it is the turn of a request, and tells since when it is.
    async fn turn(self, began: Instant, at: u32) -> Instant {
        match self {
            Pace::Unbridled(_) => Instant::now(),
            Pace::Even(gap) => {
                let due = began + gap * at;
                if due <= Instant::now() {
                    return due;
                }
                tokio::time::sleep_until(due.into()).await;
                // Timers wake up to a millisecond late, which is not the service's fault.
                Instant::now()
            }
        }
    }
}
