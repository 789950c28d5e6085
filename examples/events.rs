//! Events that evict: writers say what happened, one place says what that makes stale.
//!
//! Where many functions write, or the news comes from a queue, the writers need not know who caches what.

use cachemacro::{Cache, cached};

struct OrderPlaced {
    customer: u64,
    products: Vec<u64>,
}

struct PricesChanged;

/// The one place that knows which entries depend on what.
fn subscribe(cache: &Cache) {
    cache.on(|event: &OrderPlaced, evict| {
        let evict = evict.key("orders", event.customer);
        event.products.iter().fold(evict, |evict, product| evict.key("stock", product))
    });
    // Several handlers of one event run together, in one round trip.
    cache.on(|_: &OrderPlaced, evict| evict.tags(["dashboards"]));
    cache.on(|_: &PricesChanged, evict| evict.prefix("stock").tags(["dashboards"]));
}

// What `evict.key` names is what `prefix` and a key expression name here.
#[cached(prefix = "orders", key = customer)]
async fn orders(customer: u64) -> Vec<String> {
    println!("  loads the orders of customer {customer}");
    vec!["tea".to_owned()]
}

#[cached(prefix = "stock", key = product)]
async fn stock(product: u64) -> u32 {
    println!("  loads the stock of product {product}");
    12
}

#[cached(prefix = "dashboard", tags = ["dashboards"])]
async fn dashboard() -> String {
    println!("  loads the dashboard");
    "busy".to_owned()
}

async fn read_all() {
    orders(1).await;
    orders(2).await;
    stock(10).await;
    stock(11).await;
    dashboard().await;
}

#[tokio::main]
async fn main() -> cachemacro::Result<()> {
    let cache = Cache::memory();
    subscribe(&cache);
    cache
        .scope(async {
            println!("cold:");
            read_all().await;
            println!("warm:");
            read_all().await;

            let evicted = cache.emit(&OrderPlaced { customer: 1, products: vec![11] }).await?;
            println!("customer 1 ordered product 11, {evicted} entries and a tag evicted:");
            read_all().await;

            let evicted = cache.emit(&PricesChanged).await?;
            println!("prices changed, {evicted} entries and a tag evicted:");
            read_all().await;
            Ok(())
        })
        .await
}
