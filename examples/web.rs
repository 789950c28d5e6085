//! A web service: the cache is axum's state, and the functions behind the handlers are annotated.
//!
//! `cargo run --example web --features web`, and in another terminal:
//!
//! ```text
//! curl http://127.0.0.1:3000/users/1                        a miss, then hits
//! curl -X PUT -d 'Ada Lovelace' http://127.0.0.1:3000/users/1
//! curl http://127.0.0.1:3000/stats
//! ```
//!
//! Entries are in memory, or in Redis or Valkey with `REDIS_URL`. An argument names another port.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use cachemacro::{Cache, cache_put, cached};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

/// `cache` says where the entry is, and is no part of its key.
#[cached(prefix = "user", key = "{id}", ttl = "5m", cache = cache, entry = user_entry)]
async fn user(cache: &Cache, id: u64) -> Option<User> {
    database::select(id).await
}

/// What it returns is what the next `user` gives.
#[cache_put(entry = user_entry(cache, id))]
async fn rename(cache: &Cache, id: u64, name: &str) -> Option<User> {
    database::update(id, name).await
}

/// `GET /users/1`
async fn show(State(cache): State<Cache>, Path(id): Path<u64>) -> Result<Json<User>, StatusCode> {
    user(&cache, id).await.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// `PUT /users/1`, the name as text
async fn put(
    State(cache): State<Cache>,
    Path(id): Path<u64>,
    name: String,
) -> Result<Json<User>, StatusCode> {
    rename(&cache, id, &name).await.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// `GET /health`: for the orchestrator that asks. A store that is down makes calls slower and breaks none, so decide
/// whether that is a reason to restart.
async fn health(State(cache): State<Cache>) -> Result<&'static str, StatusCode> {
    cache.health().await.map(|health| health.store.name).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

/// `GET /stats`
async fn stats(State(cache): State<Cache>) -> String {
    let total = cache.stats().total;
    format!("{} hits, {} misses, {} errors\n", total.hits, total.misses(), total.errors())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(3_000), |port| port.parse::<u16>())?;
    let cache = Cache::builder().namespace("web").env()?.build()?;
    let routes = Router::new()
        .route("/users/{id}", get(show).put(put))
        .route("/health", get(health))
        .route("/stats", get(stats))
        .with_state(cache.clone());

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes)
        .with_graceful_shutdown(async {
            // Where the signal cannot be listened to, the process ends by it in the usual way.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    // Evicts that dropped requests left behind are sent.
    cache.shutdown().await?;
    Ok(())
}

/// Stands for your database.
mod database {
    use std::collections::BTreeMap;
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    use super::User;

    static NAMES: LazyLock<Mutex<BTreeMap<u64, String>>> =
        LazyLock::new(|| Mutex::new([(1, "Ada".to_owned()), (2, "Grace".to_owned())].into()));

    /// Takes its time, then does its work.
    async fn query<T>(work: impl FnOnce(&mut BTreeMap<u64, String>) -> T) -> T {
        tokio::time::sleep(Duration::from_millis(50)).await;
        work(&mut NAMES.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn select(id: u64) -> Option<User> {
        query(|names| Some(User { id, name: names.get(&id)?.clone() })).await
    }

    pub(crate) async fn update(id: u64, name: &str) -> Option<User> {
        query(|names| {
            name.clone_into(names.get_mut(&id)?);
            Some(User { id, name: name.to_owned() })
        })
        .await
    }
}
