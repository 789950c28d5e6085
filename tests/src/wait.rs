//! Waiting for conditions instead of time, and names that no other test uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a test waits for what must happen soon, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds, asking every few milliseconds.
///
/// # Panics
/// Where it does not hold within `deadline`; the message says `what` did not happen.
pub async fn wait_until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < deadline, "within {deadline:?} it did not come true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// [`wait_until`] for a condition that nothing needs to be awaited for, with the usual [`DEADLINE`].
///
/// # Panics
/// Where it does not hold in time.
pub async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < DEADLINE, "within {DEADLINE:?} it did not come true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A namespace that no other test uses, in this process or another.
pub fn namespace() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("t{}-{:x}-{}", std::process::id(), nanos & 0xffff_ffff, NEXT.fetch_add(1, Ordering::Relaxed))
}
