//! What is compared, each as a user would write it: from the entry of a number to a [`User`], by way of a cache.
//!
//! All of them load by the same function, which counts.

pub mod attributes;
pub mod by_hand;
pub mod http;
pub mod memory;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::ground::rounds::{Named, Subject};
use crate::ground::value::{self, User};

/// How long nothing expires.
pub const LONG: Duration = Duration::from_secs(3_600);

static LOADS: AtomicU64 = AtomicU64::new(0);
static LOAD_MILLIS: AtomicU64 = AtomicU64::new(0);
static NOTE: AtomicUsize = AtomicUsize::new(value::NOTE);

/// What stands behind every cache.
pub async fn load(id: u64) -> User {
    LOADS.fetch_add(1, Ordering::Relaxed);
    let time = LOAD_MILLIS.load(Ordering::Relaxed);
    if time > 0 {
        tokio::time::sleep(Duration::from_millis(time)).await;
    }
    made(id)
}

/// The same at once, where no function is async.
pub fn load_now(id: u64) -> User {
    LOADS.fetch_add(1, Ordering::Relaxed);
    made(id)
}

fn made(id: u64) -> User {
    value::user_with(id, NOTE.load(Ordering::Relaxed))
}

/// How often anything was loaded so far.
pub fn loads() -> u64 {
    LOADS.load(Ordering::Relaxed)
}

/// From now on a load takes so long.
pub fn loads_take(millis: u64) {
    LOAD_MILLIS.store(millis, Ordering::Relaxed);
}

/// From now on values have a note of so many bytes.
pub fn notes_have(bytes: usize) {
    NOTE.store(bytes, Ordering::Relaxed);
}

/// What reads Redis: the plain way first, with which the others are compared. Where it is `fresh`, each call is a miss.
pub async fn on_redis(url: &str, fresh: bool) -> Vec<Named> {
    attributes::open(url);
    let plain = crate::ground::server::connect(url).await;
    vec![
        named("redis-rs", by_hand::ByHand(plain), fresh),
        named("redis-rs, yielding driver", by_hand::ByHand(by_hand::yielding(url).await), fresh),
        named("deadpool-redis per call", by_hand::ByHand(by_hand::pool(url)), fresh),
        named("fred", by_hand::ByHand(by_hand::fred(url).await), fresh),
        named("rustis", by_hand::ByHand(by_hand::rustis(url).await), fresh),
        named("cached", attributes::Cached, fresh),
        named("hitbox", attributes::hitbox(url), fresh),
        named(OURS, attributes::Ours::<0>, fresh),
        named("cachemacro, 1 tag", attributes::Ours::<1>, fresh),
        named("cachemacro, 3 tags", attributes::Ours::<3>, fresh),
        named("cachemacro, sealed", attributes::Sealed, fresh),
    ]
}

fn named(name: &'static str, subject: impl Subject, fresh: bool) -> Named {
    if fresh { Named::new(name, Fresh(subject)) } else { Named::new(name, subject) }
}

/// How this project is called among the others.
pub const OURS: &str = "cachemacro";

/// Another entry each time, so that each is a miss.
#[derive(Debug, Clone)]
pub struct Fresh<S>(pub S);

impl<S: Subject> Subject for Fresh<S> {
    async fn go(&self, _: u64) {
        self.0.go(fresh()).await;
    }
}

/// A number that was never used before.
pub fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
