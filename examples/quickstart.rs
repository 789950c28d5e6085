//! A first look: an async function, and a cache in front of it.
//!
//! `cargo run --example quickstart` keeps entries in memory;
//! `REDIS_URL=redis://127.0.0.1 cargo run --example quickstart` keeps them in Redis or Valkey. Same code, same
//! numbers.

use cachemacro::{Cache, cache_evict, cache_put, cached};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

/// Runs on a miss only. `entry = user_entry` makes a function that names this entry for the two below.
#[cached(prefix = "user", key = "{id}", ttl = "5m", tags = ["users"], entry = user_entry)]
async fn get_user(id: u64) -> Option<User> {
    database::select(id).await
}

/// Writes through: what it returns is what the next `get_user` gives.
#[cache_put(entry = user_entry(id))]
async fn rename_user(id: u64, name: &str) -> Option<User> {
    database::update(id, name).await
}

/// Evicts once it is done.
#[cache_evict(entry = user_entry(id))]
async fn delete_user(id: u64) {
    database::delete(id).await;
}

#[tokio::main]
async fn main() -> cachemacro::Result<()> {
    // Optional: without it, the first call makes a cache from the environment.
    let cache = Cache::builder().namespace("quickstart").env()?.build()?;
    Cache::set_global(cache.clone()).expect("nothing was cached before");
    // Users that an earlier run of this program left in Redis are gone from here on.
    cache.evict_tags(["users"]).await?;

    println!("The cache is in {}.\n", cache.health().await?.store.name);
    println!("{:<26}{:<16}{:>7}{:>6}{:>8}", "", "user 1", "queries", "hits", "misses");

    report("first call: a miss", get_user(1).await, &cache);
    report("second call: a hit", get_user(1).await, &cache);

    rename_user(1, "Ada Lovelace").await;
    report("after rename_user: a hit", get_user(1).await, &cache);

    delete_user(1).await;
    report("after delete_user: a miss", get_user(1).await, &cache);

    let before = database::queries();
    let callers: JoinSet<_> = (0..1_000).map(|_| get_user(2)).collect();
    let answers = callers.join_all().await;
    println!(
        "\n{} concurrent callers of user 2 got Grace, from {} query.",
        answers.iter().flatten().filter(|user| user.name == "Grace").count(),
        database::queries() - before
    );
    if let Err(undelivered) = cache.shutdown().await {
        eprintln!("{undelivered}");
    }
    Ok(())
}

/// One line: what the caller got, and what it cost so far.
fn report(step: &str, user: Option<User>, cache: &Cache) {
    let name = user.map_or("not there".to_owned(), |user| user.name);
    let stats = cache.stats().total;
    println!("{step:<26}{name:<16}{:>7}{:>6}{:>8}", database::queries(), stats.hits, stats.misses());
}

/// Stands for your database: every query takes 50 ms and is counted.
mod database {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use super::User;

    static USERS: LazyLock<Mutex<BTreeMap<u64, User>>> = LazyLock::new(|| {
        let users = [(1, "Ada"), (2, "Grace")];
        Mutex::new(users.map(|(id, name)| (id, User { id, name: name.to_owned() })).into())
    });
    static QUERIES: AtomicU64 = AtomicU64::new(0);

    fn users() -> MutexGuard<'static, BTreeMap<u64, User>> {
        USERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queries() -> u64 {
        QUERIES.load(Ordering::SeqCst)
    }

    pub(crate) async fn select(id: u64) -> Option<User> {
        QUERIES.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        users().get(&id).cloned()
    }

    pub(crate) async fn update(id: u64, name: &str) -> Option<User> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut users = users();
        let user = users.get_mut(&id)?;
        name.clone_into(&mut user.name);
        Some(user.clone())
    }

    pub(crate) async fn delete(id: u64) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        users().remove(&id);
    }
}
