//! What is counted, one call of each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cachemacro::header::Header;
use cachemacro::{Cache, CacheBuilder, Key, Sealing, Verify, cached};
use serde::{Deserialize, Serialize};

/// All of them.
pub const NAMES: [&str; 22] = [
    "memory-hit-arc",
    "memory-hit-arc-watched",
    "memory-hit-3-tags",
    "memory-hit-text",
    "memory-hit-value",
    "memory-miss",
    "sync-hit",
    "local-hit-arc",
    "local-hit-3-tags",
    "local-hit-text",
    "local-hit-tuple",
    "redis-hit",
    "redis-hit-watched",
    "redis-hit-3-tags",
    "redis-hit-sealed",
    "redis-miss",
    "redis-miss-3-tags",
    "redis-miss-sealed",
    "key-number",
    "key-text",
    "key-tuple",
    "header-check",
];

/// How many calls one turn of it makes: short ones are made often, so that what goes on beside them, such as the heartbeat of a local
/// tier, counts little. A hit on the server by ten: in what order its socket and its timers become ready differs.
pub fn calls(name: &str) -> u64 {
    if name.starts_with("local") {
        100
    } else if name.starts_with("redis-hit") || name.starts_with("memory-hit-arc") {
        10
    } else {
        1
    }
}

/// One of them, ready to run.
pub struct Work {
    name: &'static str,
    cache: Cache,
    runtime: tokio::runtime::Runtime,
    next: u64,
    text: String,
    header: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    city: String,
    street: String,
    roles: Vec<String>,
    note: String,
    balance: i64,
    active: bool,
    score: f64,
}

/// 260 bytes.
fn user(id: u64) -> User {
    User {
        id,
        name: format!("Ada Lovelace the {id:04}th"),
        email: format!("ada.lovelace.{id:04}@example.org"),
        city: "London, England".into(),
        street: "12 St James's Square, Westminster".into(),
        roles: vec!["reader".into(), "writer".into(), "admin".into()],
        note: "n".repeat(67),
        balance: -1_234_567,
        active: true,
        score: 0.75,
    }
}

#[cached(prefix = "arc", skip(cache), ttl = "1h", cache = cache)]
async fn arc(cache: &Cache, id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(prefix = "arc-3", skip(cache), ttl = "1h", cache = cache, tags = ["users", "org:7", "all"])]
async fn arc_3(cache: &Cache, id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(prefix = "text", skip(cache), ttl = "1h", cache = cache)]
async fn text(cache: &Cache, name: &str) -> Arc<User> {
    Arc::new(user(name.len() as u64))
}

#[cached(prefix = "tuple", skip(cache), ttl = "1h", cache = cache)]
async fn tuple(cache: &Cache, id: u64, name: &str, page: Option<u8>) -> Arc<User> {
    Arc::new(user(id + name.len() as u64 + u64::from(page.unwrap_or(0))))
}

#[cached(ttl = "1h")]
fn sync(id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(prefix = "value", key = "{id}", ttl = "1h", cache = cache)]
async fn value(cache: &Cache, id: u64) -> User {
    user(id)
}

#[cached(prefix = "value-3", key = "{id}", ttl = "1h", cache = cache, tags = ["users", "org:7", "all"])]
async fn value_3(cache: &Cache, id: u64) -> User {
    user(id)
}

impl Work {
    /// What is called so. Its own namespace each time, so that nothing is there.
    pub fn named(name: &str, url: Option<String>) -> Self {
        let name = NAMES.into_iter().find(|known| *known == name).expect("one of the names");
        let builder = Cache::builder().command_timeout(Duration::from_secs(60));
        let is_local = name.starts_with("local");
        let builder = match url.filter(|_| is_local || name.starts_with("redis")) {
            Some(url) => {
                let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is later").as_nanos();
                builder.redis(url).namespace(&format!("counts-{since:040}"))
            }
            None => builder.memory(),
        };
        let builder = if is_local { builder.local(Duration::from_secs(3_600)) } else { builder };
        let sealing = || Sealing::new(&[1; 32], 1, &[2; 32]);
        let builder = if name.ends_with("sealed") { builder.sealed(sealing()) } else { builder };
        // Everything that looks at a service beside its calls: hot keys, names of tags, whether what is served is true; reports are on anyway.
        let is_watched = name.ends_with("watched");
        let watched =
            |builder: CacheBuilder| builder.hot_keys(true).tag_names(10_000).verify(Verify::millionths(1));
        let builder = if is_watched { watched(builder) } else { builder };
        Self {
            name,
            cache: builder.build().expect("settings are right"),
            // On one thread the order of things is nearly the same each time.
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            next: 1_000_000,
            text: "x".repeat(31),
            header: Header::new().to_bytes().to_vec(),
        }
    }

    /// Does it so many times.
    pub fn run(&mut self, times: u64) {
        let Self { name, cache, runtime, next, text: words, header } = self;
        if *name == "sync-hit" {
            return cache.scope_sync(|| (0..times).for_each(|_| drop(black_box(sync(black_box(7))))));
        }
        runtime.block_on(async {
            while name.starts_with("local") && cache.stats().total.local_hits == 0 {
                // Until the server tells of changes.
                drop((arc(cache, 7).await, arc_3(cache, 7).await));
                drop((text(cache, words).await, tuple(cache, 7, words, Some(3)).await));
                tokio::time::sleep(Duration::from_millis(5)).await;
                cache.stored().await;
            }
            for _ in 0..times * calls(name) {
                *next += 1;
                match *name {
                    "memory-hit-arc" | "memory-hit-arc-watched" | "local-hit-arc" => {
                        drop(black_box(arc(cache, black_box(7)).await))
                    }
                    "memory-hit-3-tags" | "local-hit-3-tags" => {
                        drop(black_box(arc_3(cache, black_box(7)).await))
                    }
                    "memory-hit-text" | "local-hit-text" => {
                        drop(black_box(text(cache, black_box(words)).await))
                    }
                    "local-hit-tuple" => {
                        drop(black_box(tuple(cache, black_box(7), black_box(words), Some(3)).await))
                    }
                    "memory-hit-value" => drop(black_box(value(cache, black_box(7)).await)),
                    "memory-miss" => drop(black_box(arc(cache, *next).await)),
                    "redis-hit" | "redis-hit-sealed" | "redis-hit-watched" => {
                        drop(black_box(value(cache, black_box(7)).await))
                    }
                    "redis-hit-3-tags" => drop(black_box(value_3(cache, black_box(7)).await)),
                    "redis-miss" | "redis-miss-sealed" => drop(black_box(value(cache, *next).await)),
                    "redis-miss-3-tags" => drop(black_box(value_3(cache, *next).await)),
                    "key-number" => drop(black_box(Key::new("user", black_box(7_u64)))),
                    "key-text" => drop(black_box(Key::new("user", black_box(words.as_str())))),
                    "key-tuple" => {
                        drop(black_box(Key::new("user", black_box((7_u64, words.as_str(), Some(3_u8))))))
                    }
                    "header-check" => drop(black_box(Header::parse(black_box(header)))),
                    _ => unreachable!("it is one of the names"),
                }
            }
        });
    }
}
