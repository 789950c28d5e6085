//! Dependency injection: the cache is a field beside the repository, no global is involved.
//!
//! `#[cache_config]` says once for the whole `impl` where the cache is. The service is generic over its repository,
//! as it would be to test it with a fake; two instantiations never share entries, because type parameters are part
//! of the key.

use std::sync::atomic::{AtomicU64, Ordering};

use cachemacro::{Cache, cache_config, cache_evict, cached};

/// Where prices come from.
trait Prices: Send + Sync + 'static {
    fn price(&self, item: &str) -> impl Future<Output = Option<u64>> + Send;
    fn set_price(&self, item: &str, cents: u64) -> impl Future<Output = ()> + Send;
}

/// A shop over any source of prices, with the cache that it was given.
struct Shop<P> {
    prices: P,
    cache: Cache,
}

#[cache_config(cache = self.cache, ttl = "1m")]
impl<P: Prices> Shop<P> {
    #[cached(prefix = "price", key = "{item}", entry = price_entry)]
    async fn price(&self, item: &str) -> Option<u64> {
        self.prices.price(item).await
    }

    #[cache_evict(entry = self.price_entry(item))]
    async fn set_price(&self, item: &str, cents: u64) {
        self.prices.set_price(item, cents).await;
    }
}

/// One price for everything, and how often it was asked for.
#[derive(Default)]
struct FlatPrice {
    cents: AtomicU64,
    asked: AtomicU64,
}

impl Prices for FlatPrice {
    async fn price(&self, _item: &str) -> Option<u64> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Some(self.cents.load(Ordering::Relaxed))
    }

    async fn set_price(&self, _item: &str, cents: u64) {
        self.cents.store(cents, Ordering::Relaxed);
    }
}

/// Sells nothing.
struct Closed;

impl Prices for Closed {
    async fn price(&self, _item: &str) -> Option<u64> {
        None
    }

    async fn set_price(&self, _item: &str, _cents: u64) {}
}

#[tokio::main]
async fn main() {
    let cache = Cache::memory();
    let open = Shop { prices: FlatPrice { cents: 250.into(), ..FlatPrice::default() }, cache: cache.clone() };
    let closed = Shop { prices: Closed, cache: cache.clone() };

    println!("tea: {:?}, again: {:?}", open.price("tea").await, open.price("tea").await);
    println!("the repository was asked {} time", open.prices.asked.load(Ordering::Relaxed));

    open.set_price("tea", 300).await;
    println!("tea after set_price: {:?}", open.price("tea").await);

    println!("tea in a shop of another type, same cache: {:?}", closed.price("tea").await);

    let elsewhere =
        Shop { prices: FlatPrice { cents: 990.into(), ..FlatPrice::default() }, cache: Cache::memory() };
    println!("tea in a shop with a cache of its own: {:?}", elsewhere.price("tea").await);
    println!("hits: {} here, {} there", cache.stats().total.hits, elsewhere.cache.stats().total.hits);
}
