//! Measures what the cache saves: the same requests against the same data, with caching off and with caching on.
//!
//! Requests go over real HTTP to the service in this process, on the loopback device: the times are those that a
//! client on the same machine sees, JSON and HTTP included. Each run begins with an empty cache and its own copy of the
//! database, and is preceded by some seconds of reads that are not counted, sent as fast as they are answered. They tell
//! what the service keeps up with, and leave the cache as it is in the middle of a day and not on its first second.
//!
//! Times compare only under the same traffic. So both runs get their requests at the same even pace: half of what the
//! service kept up with while its cache was off.

mod client;
mod cold;
mod drive;
mod kept;
mod mix;
mod report;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cachemacro::Cache;
use cachemacro_http::HttpCache;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

pub use self::client::Client;
pub use self::cold::{Cold, ColdReport, cold};
pub use self::drive::{Drive, DriveReport, drive};
pub use self::kept::{Kept, kept};
pub use self::mix::{Mix, Request};
pub use self::report::{Report, Run};
use crate::repository::Repository;
use crate::service::Airports;
use crate::{data, routes};

/// What to replay.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// How many requests at most, before and within each of the two runs.
    pub requests: u32,
    /// How long each run takes at most.
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
        Self { requests: 20_000, time: Duration::from_secs(5), callers: 8, skew: 1.0, seed: 1 }
    }
}

/// How long reads are sent before each run, at most.
const BEFORE: Duration = Duration::from_secs(3);

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
    check(load)?;
    let airports = data::bundled()?;
    let most = load.requests as usize;
    // One stream, so that both have the same favourites and neither repeats the other.
    let mut mix = Mix::new(&airports, load.skew, load.seed);
    let before = mix.by_ref().filter(Request::is_read).take(most).collect();
    let mut requests: Arc<[Request]> = mix.take(most).collect();

    let folder = tempfile::tempdir()?;
    let loaded = folder.path().join("loaded.sqlite");
    let repository = Repository::open(&loaded, &Cache::builder().disabled(true).build()?).await?;
    repository.import(&airports).await?;
    // Closing writes everything into the one file that is copied.
    repository.close().await;

    let serve = async |name: &str, disabled| {
        let file = folder.path().join(name);
        std::fs::copy(&loaded, &file)?;
        let cache = cache(disabled)?;
        // What an earlier run left in Redis is about another database.
        cache.clear().await?;
        Server::start(Airports::new(Repository::open(&file, &cache).await?, cache)).await
    };
    let callers = load.callers;

    let server = serve("off", true).await?;
    let began = Instant::now();
    let sent = server.send(callers, Pace::Unbridled(BEFORE), &before).await?.len();
    let gap = 2 * began.elapsed() / u32::try_from(sent)?.max(1);
    let in_time = usize::try_from(load.time.as_nanos() / gap.as_nanos().max(1))?.max(1);
    requests = requests.iter().take(in_time).cloned().collect();
    let off = server.run(callers, Pace::Even(gap), &requests).await?;

    let server = serve("on", false).await?;
    server.send(callers, Pace::Unbridled(BEFORE), &before).await?;
    let on = server.run(callers, Pace::Even(gap), &requests).await?;
    let kept = kept(&loaded, cache(false)?, &airports).await?;
    Ok(Report { load: load.clone(), gap, requests, off, on, kept })
}

/// Whether there is something to send, and somebody to send it.
fn check(load: &Load) -> Result<(), Failure> {
    if load.requests == 0 || load.callers == 0 || !load.skew.is_finite() || load.skew < 0.0 {
        return Err("at least one request and one caller are needed, and a skew that is not negative".into());
    }
    Ok(())
}

/// When requests are sent.
#[derive(Clone, Copy)]
enum Pace {
    /// Each caller sends the next one when it has its answer, until the time is over.
    Unbridled(Duration),
    /// One each time so much has passed, if a caller is free. Where none is, the delay counts.
    Even(Duration),
}

/// The service on a port of its own.
struct Server {
    airports: Airports,
    pages: HttpCache,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(airports: Airports) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let pages = routes::pages(&airports);
        let router = routes::router(airports.clone(), &pages);
        let server = axum::serve(listener, router).with_graceful_shutdown(async {
            // An `Err` says that the other end is gone: time to stop, too.
            let _ = stopped.await;
        });
        Ok(Self { airports, pages, address, stop, task: tokio::spawn(server.into_future()) })
    }

    /// How often a handler of a page ran so far.
    fn runs(&self) -> u64 {
        self.pages.stats().iter().map(|page| page.misses + page.passes.values().sum::<u64>()).sum()
    }

    /// Sends requests and gives the times that their answers took.
    async fn send(
        &self,
        callers: usize,
        pace: Pace,
        requests: &Arc<[Request]>,
    ) -> Result<Vec<Duration>, Failure> {
        send(self.address, callers, pace, requests).await
    }

    /// Sends requests, counts what they cost, and stops.
    async fn run(self, callers: usize, pace: Pace, requests: &Arc<[Request]>) -> Result<Run, Failure> {
        let cache = self.airports.cache();
        let count = || {
            let stats = cache.stats().total;
            (self.airports.repository().queries(), stats.hits, stats.misses(), self.runs())
        };
        let store = cache.health().await?.store.name;
        let (queries, hits, misses, runs) = count();
        let mut times = self.send(callers, pace, requests).await?;
        times.sort_unstable();
        let (all_queries, all_hits, all_misses, all_runs) = count();

        drop(self.stop);
        self.task.await??;
        self.airports.repository().close().await;
        cache.shutdown().await?;
        Ok(Run {
            store,
            runs: all_runs - runs,
            queries: all_queries - queries,
            hits: all_hits - hits,
            misses: all_misses - misses,
            times,
        })
    }
}

/// Sends requests to the service at this address and gives the times that their answers took.
async fn send(
    address: SocketAddr,
    callers: usize,
    pace: Pace,
    requests: &Arc<[Request]>,
) -> Result<Vec<Duration>, Failure> {
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
    Ok(times)
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
