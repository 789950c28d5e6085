//! Which of the recorded bounds of times are told.

use std::time::Duration;

use cachemacro::Histogram;

/// From the first to the last, doubling.
type Bounds = (Duration, Duration);

/// Of loads: from 256 µs.
const LOADS: Bounds = (Duration::from_micros(1 << 8), Duration::from_micros(1 << 21));
/// Of the store's round trips: from 32 µs.
const ROUND_TRIPS: Bounds = (Duration::from_micros(1 << 5), Duration::from_micros(1 << 18));

/// Counts of a family's times by upper bound, each not among the ones before. The last bound is none.
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
