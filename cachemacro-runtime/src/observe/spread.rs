//! A counter that threads seldom share, for what is counted on every hit.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many places one counter has.
const PLACES: usize = 8;

/// A count in as many places as there are threads to add to it, up to [`PLACES`]; their sum is the count.
#[derive(Debug, Default)]
pub(crate) struct SpreadCounter([Place; PLACES]);

/// Alone in its line of the processor's cache, and in the one beside, which some fetch with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place(AtomicU64);

impl SpreadCounter {
    #[inline]
    pub(crate) fn fetch_add(&self, by: u64, order: Ordering) {
        self.0[place()].0.fetch_add(by, order);
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.iter().map(|place| place.0.load(order)).fold(0, u64::wrapping_add)
    }
}

/// The place of this thread.
#[inline]
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // In a thread that ends, any.
    PLACE
        .try_with(|place| {
            if place.get() == usize::MAX {
                place.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            place.get()
        })
        .unwrap_or_default()
        % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_is_their_sum() {
        let counter = SpreadCounter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| (0..1_000).for_each(|_| counter.fetch_add(1, Ordering::Relaxed)));
            }
        });
        assert_eq!(counter.load(Ordering::Relaxed), 2_000 * PLACES as u64);
    }
}
