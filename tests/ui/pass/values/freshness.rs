//! Values that age: `stale`, `max_age` and `refresh`, from the attribute, from the block and from the cache.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cachemacro::{Cache, Clock, cache_config, cache_put, cached};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

struct Prices {
    cache: Cache,
    fails: bool,
    loads: AtomicU32,
}

#[cache_config(cache = self.cache, ttl = "1m", stale = "1h", max_age = DAY, refresh = "80%")]
impl Prices {
    #[cached(prefix = "price", key = "{id}")]
    async fn price(&self, id: u32) -> Result<u32, String> {
        self.load(id)
    }

    #[cached(prefix = "exact", key = "{id}", stale = "0s", max_age = "1m", refresh = "100%")]
    async fn exact(&self, id: u32) -> Result<u32, String> {
        self.load(id)
    }

    #[cache_put(prefix = "price", key = "{id}")]
    async fn set(&self, id: u32, price: u32) -> u32 {
        let _ = id;
        price
    }

    fn load(&self, id: u32) -> Result<u32, String> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        if self.fails { Err("no".to_owned()) } else { Ok(id) }
    }
}

fn prices() -> (Prices, Clock) {
    let clock = Clock::manual();
    let cache = Cache::builder().memory().clock(clock.clone()).build().expect("acceptable settings");
    (Prices { cache, fails: false, loads: AtomicU32::new(0) }, clock)
}

#[tokio::test]
async fn a_value_ages_as_its_block_says() {
    let (mut prices, clock) = prices();
    assert_eq!(prices.price(7).await, Ok(7));
    clock.advance(Duration::from_secs(47));
    assert_eq!(prices.price(7).await, Ok(7));
    assert_eq!(prices.loads.load(Ordering::Relaxed), 1);
    clock.advance(Duration::from_secs(2));
    assert_eq!(prices.price(7).await, Ok(7));
    assert_eq!(prices.loads.load(Ordering::Relaxed), 2, "it was due");
    prices.fails = true;
    clock.advance(HOUR / 2);
    assert_eq!(prices.price(7).await, Ok(7), "stale");
    clock.advance(HOUR);
    assert_eq!(prices.price(7).await, Ok(7), "spare");
    clock.advance(24 * HOUR);
    assert_eq!(prices.price(7).await, Err("no".to_owned()), "gone");
}

#[tokio::test]
async fn a_function_has_its_own_say() {
    let (mut prices, clock) = prices();
    assert_eq!(prices.exact(7).await, Ok(7));
    prices.fails = true;
    clock.advance(Duration::from_secs(59));
    assert_eq!(prices.exact(7).await, Ok(7));
    assert_eq!(prices.loads.load(Ordering::Relaxed), 1, "never due");
    clock.advance(Duration::from_secs(1));
    assert_eq!(prices.exact(7).await, Err("no".to_owned()));
}

#[tokio::test]
async fn what_is_put_ages_likewise() {
    let (mut prices, clock) = prices();
    prices.fails = true;
    assert_eq!(prices.set(7, 12).await, 12);
    clock.advance(HOUR / 2);
    assert_eq!(prices.price(7).await, Ok(12));
}

/// What was decoded once is not served past the time at which the value is due, stale or gone.
#[tokio::test]
async fn a_decoded_value_is_served_until_it_is_due() {
    let (prices, clock) = prices();
    for _ in 0..3 {
        assert_eq!(prices.price(7).await, Ok(7));
    }
    clock.advance(Duration::from_secs(50));
    assert_eq!(prices.price(7).await, Ok(7));
    assert_eq!(prices.loads.load(Ordering::Relaxed), 2);
    assert_eq!(prices.cache.stats().total.refreshes, 1);
}

#[tokio::test]
async fn a_cache_has_defaults() {
    let clock = Clock::manual();
    let builder = Cache::builder().memory().clock(clock.clone()).ttl(HOUR);
    let cache = builder.stale(HOUR).max_age(5 * HOUR).refresh(50).build().expect("acceptable settings");
    let entry = cache.entry::<u32>("price", 7);
    entry.get_or_load(async || 1).await;
    clock.advance(HOUR / 2);
    assert_eq!(entry.get_or_load(async || 2).await, 2, "due");
    clock.advance(HOUR + HOUR / 2);
    assert_eq!(entry.try_get_or_load(async || Err("no")).await, Ok(2), "stale");
    clock.advance(2 * HOUR);
    assert_eq!(entry.try_get_or_load(async || Err("no")).await, Ok(2), "spare");
    clock.advance(2 * HOUR);
    assert_eq!(entry.try_get_or_load(async || Err("no")).await, Err("no"), "gone");
}
