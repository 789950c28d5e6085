//! The server's time as this client knows it: a monotonic clock plus an offset learned from replies.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ground::clock::Timestamp;

/// After how long the server's time is to be told again: its clock may be set, or run at another pace.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// Follows the server's clock. Every reply that tells the time bounds the offset from both sides (it was
/// taken between sending and receiving); the estimate moves only as far as a bound demands. What a reply told
/// is therefore never in the future of those who read it.
#[derive(Debug)]
pub(super) struct ServerTime {
    origin: Instant,
    offset: Mutex<Offset>,
}

#[derive(Debug, Clone, Copy)]
struct Offset {
    /// Server time at `origin`, in microseconds.
    micros: i64,
    /// Whether a server told it; before that it is the system's clock.
    learned: bool,
    /// When it was told last.
    told: Instant,
}

impl ServerTime {
    pub(super) fn new() -> Self {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (origin, learned) = (Instant::now(), false);
        Self { origin, offset: Mutex::new(Offset { micros: micros(system), learned, told: origin }) }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// Whether a server told it.
    pub(super) fn is_learned(&self) -> bool {
        self.lock().learned
    }

    /// Whether the server is to tell it along with what it is asked.
    pub(super) fn is_to_be_told(&self) -> bool {
        let Offset { learned, told, .. } = *self.lock();
        !learned || told.elapsed() >= TOLD_AGAIN
    }

    fn at(&self, instant: Instant) -> Timestamp {
        let micros = self.lock().micros.saturating_add(self.local(instant));
        Timestamp(u64::try_from(micros / 1_000).unwrap_or(0))
    }

    /// Takes note of a time in whole milliseconds that the server read between `sent` and `received`.
    pub(super) fn observe(&self, sent: Instant, received: Instant, server_millis: i64) {
        let server = server_millis.saturating_mul(1_000);
        let lowest = server.saturating_sub(self.local(received));
        let highest = server.saturating_add(999).saturating_sub(self.local(sent)).max(lowest);
        let mut offset = self.lock();
        let learned = offset.learned;
        offset.micros = if learned { offset.micros.clamp(lowest, highest) } else { lowest.midpoint(highest) };
        offset.learned = true;
        offset.told = received;
    }

    fn local(&self, instant: Instant) -> i64 {
        micros(instant.saturating_duration_since(self.origin))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Offset> {
        crate::ground::sync::lock(&self.offset)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_reply_it_is_the_systems_clock() {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let told = u128::from(ServerTime::new().now().millis());
        assert!(told.abs_diff(system) < 1_000);
    }

    #[test]
    fn the_server_wins_over_the_systems_clock() {
        let time = ServerTime::new();
        let sent = time.origin + Duration::from_millis(100);
        time.observe(sent, sent + Duration::from_millis(2), 5_000_000);
        assert!(time.at(sent).millis().abs_diff(5_000_000) <= 2);
    }

    #[test]
    fn what_a_reply_told_is_not_in_the_future() {
        let time = ServerTime::new();
        for millis in 0..1_000 {
            let sent = time.origin + Duration::from_micros(1_000 + 37 * millis);
            let received = sent + Duration::from_micros(11 * millis % 3_000);
            let told = 5_000_000 + 41 * millis;
            time.observe(sent, received, i64::try_from(told).expect("small"));
            assert!(time.at(received).millis() >= told);
        }
    }

    #[test]
    fn a_slow_reply_does_not_spoil_a_good_estimate() {
        let time = ServerTime::new();
        let sent = time.origin + Duration::from_millis(100);
        time.observe(sent, sent + Duration::from_millis(2), 5_000_000);
        let good = time.at(sent);
        let later = sent + Duration::from_secs(1);
        time.observe(later, later + Duration::from_millis(200), 5_001_150);
        assert_eq!(time.at(sent), good);
    }

    #[test]
    fn a_server_whose_clock_jumped_is_followed() {
        let time = ServerTime::new();
        let sent = time.origin + Duration::from_millis(100);
        time.observe(sent, sent + Duration::from_millis(2), 5_000_000);
        time.observe(sent, sent + Duration::from_millis(2), 9_000_000);
        assert!(time.at(sent).millis().abs_diff(9_000_000) <= 3);
    }
}
