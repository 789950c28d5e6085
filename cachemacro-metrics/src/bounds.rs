//! Which of the recorded bounds of times are told.

use std::time::Duration;

use cachemacro::Histogram;

/// The first and the last bound; each is twice the one before.
type Bounds = (Duration, Duration);

/// The bounds of loads: from 256 µs to 2 s.
const LOADS: Bounds = (Duration::from_micros(1 << 8), Duration::from_micros(1 << 21));
/// The bounds of the store's round trips: from 32 µs to 262 ms.
const ROUND_TRIPS: Bounds = (Duration::from_micros(1 << 5), Duration::from_micros(1 << 18));

/// How many of a family's times are at most each bound, and above the one before. The last bucket has no bound.
pub(crate) fn buckets(family: &str, times: &Histogram) -> Vec<(Option<Duration>, u64)> {
    let (first, last) = if family == "store_time" { ROUND_TRIPS } else { LOADS };
    let mut buckets = Vec::new();
    let mut below = 0;
    for (bound, count) in times.buckets() {
        below += count;
        if bound.is_none_or(|bound| bound >= first && bound <= last) {
            buckets.push((bound, std::mem::take(&mut below)));
        }
    }
    buckets
}
