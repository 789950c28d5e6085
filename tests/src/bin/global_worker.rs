//! A process that sets no cache and calls attributed functions all the same. Says how often their bodies ran, what was
//! logged for everybody to see, and where the cache says that it is. With the argument `evict` it evicts too, and says what came of it when
//! the cache was shut down.

use cachemacro::{cache_evict, cached};
use cachemacro_tests::Log;
use cachemacro_tests::attributes::Calls;
use cachemacro_tests::worker::say;
use tracing::Level;

static BODIES: Calls = Calls::new();

#[cached(prefix = "row", key = "{id}")]
async fn row(id: u32) -> u32 {
    BODIES.add();
    id * 2
}

#[cached(prefix = "other", key = "{id}")]
async fn other(id: u32) -> u32 {
    id
}

#[cache_evict(prefix = "row", key = "{id}")]
async fn change(id: u32) {
    let _ = id;
}

fn main() {
    let log = Log::default();
    let evicts = std::env::args().any(|arg| arg == "evict");
    let (health, shutdown) = log.watch(async {
        for _ in 0..5 {
            assert_eq!(row(7).await, 14);
            assert_eq!(other(7).await, 7);
        }
        let cache = cachemacro::Cache::current();
        let health = cache.health().await;
        if evicts {
            change(7).await;
            change(7).await;
        }
        (health, if evicts { Some(cache.shutdown().await) } else { None })
    });
    say(format_args!("bodies {}", BODIES.count()));
    for line in log.lines().iter().filter(|line| line.level <= Level::INFO) {
        say(format_args!("log {line}"));
    }
    match health {
        Ok(health) => say(format_args!("health {} disabled={}", health.store.name, health.disabled)),
        Err(error) => say(format_args!("health {error}")),
    }
    match shutdown {
        Some(Ok(())) => say("shutdown all was delivered"),
        Some(Err(undelivered)) => say(format_args!("shutdown {undelivered}")),
        None => {}
    }
}
