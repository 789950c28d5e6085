//! What a tier holds stays within bounds, however many keys there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::ground::clock::Clock;
use crate::local::tier::{Life, LocalCopy, Tier};
use crate::store::Placed;

const CAPACITY: usize = 8 << 20;

/// How many evicted values may still be in memory: it is given back in batches.
const UNTIL_GIVEN_BACK: usize = 4_096;

/// Ten million under `CACHEMACRO_TEST_LONG=1`.
fn keys() -> u64 {
    let long = std::env::var_os("CACHEMACRO_TEST_LONG").is_some_and(|value| value == "1");
    if long { 10_000_000 } else { 100_000 }
}

/// Counts those that are in memory.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn ten_million_keys_with_a_tag_each_take_no_more_than_the_capacity() {
    let (keys, live) = (keys(), Arc::new(AtomicUsize::new(0)));
    let tier = Tier::new("shop", CAPACITY, None, Clock::manual());
    tier.begins();
    tier.told_until(Instant::now());
    let life = Life { ttl: Duration::from_secs(60), fresh: Duration::from_secs(60) };
    let mut most = 0;
    for key in 0..keys {
        let text = key.to_string();
        let placed = Placed { hash: tier.table().hash(text.as_bytes()), bytes: text.clone().into_bytes() };
        let begun = tier.begin(&format!("shop:user:{text}"), "shop:user:", [key, 1]);
        let copy = LocalCopy::new(placed, None, (200, 200), Counted::new(&live));
        assert!(tier.keep(begun, [key + 1], life, copy));
        if key % 3 == 0 {
            // Told of again and again, and asked for by nobody.
            tier.changed(format!("shop:user:{text}").as_bytes());
        }
        if key % 1_000 == 0 {
            most = most.max(live.load(Ordering::Relaxed));
        }
    }
    let stats = tier.stats();
    assert!(stats.bytes <= CAPACITY as u64, "{stats:?}");
    let fit = usize::try_from(stats.entries).expect("few");
    assert!(fit > 1_000 && most < 2 * fit + UNTIL_GIVEN_BACK, "{most} values in memory, where {fit} fit");
    let (places, tags) = tier.table().held();
    assert_eq!(places, fit, "places of values that are gone");
    assert!(tags < 8 * fit, "{tags} tags are remembered, where {fit} values fit");
    drop(tier);
    assert_eq!(live.load(Ordering::Relaxed), 0, "dropping it frees all");
}
