//! Testing code that caches: each test has its own cache, moves its own clock, breaks its own store.
//!
//! `cargo test --example testing` runs the tests below side by side; `cargo run --example testing` runs them once
//! and prints what they show. `Cache::scope` gives the functions inside it a cache, so the code under test stays as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cachemacro::store::faults::FaultStore;
use cachemacro::store::memory::MemoryStore;
use cachemacro::{Cache, Clock, ErrorKind, Mode, cached};

/// The code under test. It knows nothing of tests.
#[cached(prefix = "quote", key = "{symbol}", ttl = "30s")]
async fn quote(symbol: &str, exchange: &Exchange) -> u32 {
    exchange.ask()
}

/// Answers 1, 2, 3, …: what a caller got tells which call it came from.
#[derive(Default)]
struct Exchange {
    asked: AtomicU32,
}

impl Exchange {
    fn ask(&self) -> u32 {
        self.asked.fetch_add(1, Ordering::Relaxed) + 1
    }
}

async fn a_second_call_is_a_hit() {
    let exchange = Exchange::default();
    // A new, empty cache: nothing from other tests is in it, whatever they do meanwhile.
    Cache::memory()
        .scope(async {
            assert_eq!(quote("ACME", &exchange).await, 1);
            assert_eq!(quote("ACME", &exchange).await, 1);
            assert_eq!(quote("INIT", &exchange).await, 2);
        })
        .await;
}

async fn a_quote_is_loaded_anew_after_half_a_minute() -> cachemacro::Result<()> {
    let exchange = Exchange::default();
    let clock = Clock::manual();
    let cache = Cache::builder().memory().clock(clock.clone()).build()?;
    cache
        .scope(async {
            assert_eq!(quote("ACME", &exchange).await, 1);
            clock.advance(Duration::from_secs(29));
            assert_eq!(quote("ACME", &exchange).await, 1);
            clock.advance(Duration::from_secs(2));
            assert_eq!(quote("ACME", &exchange).await, 2);
        })
        .await;
    Ok(())
}

async fn a_store_that_is_down_costs_hits_and_nothing_else() -> cachemacro::Result<()> {
    let exchange = Exchange::default();
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let cache = Cache::builder().store(store.clone()).build()?;
    cache
        .scope(async {
            store.fail_all(ErrorKind::Connect);
            assert_eq!(quote("ACME", &exchange).await, 1);
            assert_eq!(quote("ACME", &exchange).await, 2);
            store.heal();
            assert_eq!(quote("ACME", &exchange).await, 3);
            assert_eq!(quote("ACME", &exchange).await, 3);
        })
        .await;
    assert!(cache.stats().total.errors_of(ErrorKind::Connect) > 0);
    Ok(())
}

async fn a_test_can_look_past_the_cache() {
    let exchange = Exchange::default();
    Cache::memory()
        .scope(async {
            assert_eq!(quote("ACME", &exchange).await, 1);
            assert_eq!(Mode::Bypass.scope(quote("ACME", &exchange)).await, 2);
            assert_eq!(quote("ACME", &exchange).await, 1);
        })
        .await;
}

#[tokio::main]
async fn main() -> cachemacro::Result<()> {
    // At the same time, and none sees another's cache.
    let (hit, expiry, down, past) = tokio::join!(
        a_second_call_is_a_hit(),
        a_quote_is_loaded_anew_after_half_a_minute(),
        a_store_that_is_down_costs_hits_and_nothing_else(),
        a_test_can_look_past_the_cache(),
    );
    let ((), (), (), ()) = (hit, expiry?, down?, past);
    println!("a second call is a hit");
    println!("a quote is loaded anew after half a minute, and nobody waited for it");
    println!("a store that is down costs hits and nothing else");
    println!("a test can look past the cache");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_second_call_is_a_hit() {
        super::a_second_call_is_a_hit().await;
    }

    #[tokio::test]
    async fn a_quote_is_loaded_anew_after_half_a_minute() -> cachemacro::Result<()> {
        super::a_quote_is_loaded_anew_after_half_a_minute().await
    }

    #[tokio::test]
    async fn a_store_that_is_down_costs_hits_and_nothing_else() -> cachemacro::Result<()> {
        super::a_store_that_is_down_costs_hits_and_nothing_else().await
    }

    #[tokio::test]
    async fn a_test_can_look_past_the_cache() {
        super::a_test_can_look_past_the_cache().await;
    }
}
