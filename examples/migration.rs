//! Moving from the `cached` crate (4.1), side by side.
//!
//! Above each function stands, in a comment, what it was. In short:
//!
//! | `cached` | here |
//! |---|---|
//! | `ttl_secs = 60` | `ttl = "1m"` |
//! | `key = "String", convert = r#"{ format!("{org}:{id}") }"#` | `key = "{org}:{id}"`; strings cannot run into each other |
//! | `key = "u32", convert = r#"{ id }"#` to leave an argument out | `skip(pool)`, or a `key` without it |
//! | `sync_writes = "by_key"` | always, in all processes, and an evict ends it |
//! | `result_fallback = true` | planned (`stale`) |
//! | `in_impl = true` | methods need nothing; the receiver is in the key where the key says so |
//! | `#[once]` | a key without arguments: `key = "all"` |
//! | `#[concurrent_cached(redis = true, map_error = …)]` | `REDIS_URL`; the function's error type stays as it is |
//! | `USER.write().await.cache_remove(&key)` | `user_entry(org, id).evict().await?`, or `#[cache_evict]` |
//! | `user_prime_cache(…)` | `Mode::Refresh.scope(user(…))` |
//! | `user_no_cache(…)` | `Mode::Bypass.scope(user(…))` |
//! | `force_refresh = { flag }` | `skip(flag)`, and the caller's `Mode::Refresh.scope(…)` |
//! | `with_cached_flag = true` | `Cache::stats()`, `Entry::has` |
//! | `max_size = 1_000` per function | bytes for the whole cache: `CACHEMACRO_CAPACITY`, or the server's `maxmemory` |
//!
//! Values must be serde's, because they may leave the process. Synchronous functions stay with `cached`: to memoize
//! pure computation in one process it is the better choice.

use std::sync::atomic::{AtomicU32, Ordering};

use cachemacro::{Cache, Mode, cache_evict, cached};

type Lookup<T> = Result<T, String>;

static LOADS: AtomicU32 = AtomicU32::new(0);

fn load() -> u32 {
    LOADS.fetch_add(1, Ordering::Relaxed) + 1
}

// #[cached(
//     ttl_secs = 60,
//     key = "String",
//     convert = r#"{ format!("{org}:{id}") }"#,
//     sync_writes = "by_key"
// )]
#[cached(prefix = "user", key = "{org}:{id}", ttl = "1m", entry = user_entry)]
async fn user(org: &str, id: u32) -> Result<String, String> {
    Ok(format!("user {id} of {org}, load {}", load()))
}

// async fn rename(org: &str, id: u32) {
//     …
//     USER.write().await.cache_remove(&format!("{org}:{id}"));
// }
#[cache_evict(entry = user_entry(org, id))]
async fn rename(org: &str, id: u32) -> Result<(), String> {
    println!("renames user {id} of {org}");
    Ok(())
}

// `cached` sees a plain value behind an alias and would cache the error: "Type aliases are never resolved".
// Here types decide, and `Err` is not stored.
//
// #[cached(ttl_secs = 60)]
#[cached(prefix = "score", key = "{id}", ttl = "1m")]
async fn score(id: u32) -> Lookup<u32> {
    match load() {
        odd if odd % 2 == 1 => Err(format!("no score of {id} yet, load {odd}")),
        even => Ok(even),
    }
}

// #[once(ttl_secs = 300)]
#[cached(prefix = "rates", key = "all", ttl = "5m")]
async fn rates() -> Vec<u32> {
    vec![load()]
}

struct Shop;

impl Shop {
    // #[cached(ttl_secs = 60, in_impl = true, key = "u32", convert = r#"{ id }"#)]
    #[cached(prefix = "price", ttl = "1m", skip(currency_table))]
    async fn price(&self, id: u32, currency_table: &[u32]) -> u32 {
        load() * 100 + id + currency_table.iter().sum::<u32>()
    }
}

#[tokio::main]
async fn main() -> Result<(), String> {
    Cache::memory()
        .scope(async {
            println!("{}", user("acme", 7).await?);
            println!("{}", user("acme", 7).await?);
            rename("acme", 7).await?;
            println!("{}", user("acme", 7).await?);

            // user_no_cache, user_prime_cache
            println!("past the cache:   {}", Mode::Bypass.scope(user("acme", 7)).await?);
            println!("as it was:        {}", user("acme", 7).await?);
            println!("loaded anew:      {}", Mode::Refresh.scope(user("acme", 7)).await?);
            println!("and kept:         {}", user("acme", 7).await?);

            println!("{:?}", score(1).await);
            println!("{:?}", score(1).await);
            println!("{:?}", score(1).await);

            println!("rates {:?}, again {:?}", rates().await, rates().await);
            println!("price {}, again {}", Shop.price(5, &[1, 2]).await, Shop.price(5, &[3]).await);
            Ok(())
        })
        .await
}
