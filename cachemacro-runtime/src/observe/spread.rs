//! A counter that threads seldom share, for what is counted on every hit.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::ground::sync::lock;

/// How many threads at once have a place of their own in each counter.
const OWN: usize = 8;
/// How many places the others share.
const SHARED: usize = 4;

/// A count in several places, whose sum it is: one for each of [`OWN`] threads, which add to it without locking the line of the
/// processor's cache, and some for all others.
#[derive(Debug, Default)]
pub(crate) struct SpreadCounter([Line; OWN + SHARED]);

/// Alone in its line of the processor's cache, and in the one beside, which some fetch with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl SpreadCounter {
    #[inline]
    pub(crate) fn fetch_add(&self, by: u64, order: Ordering) {
        let place = PLACE.try_with(|place| place.0).unwrap_or(OWN);
        let Some(Line(count)) = self.0.get(place) else { return };
        if place < OWN {
            // Nobody else writes here.
            count.store(count.load(Ordering::Relaxed).wrapping_add(by), order);
        } else {
            count.fetch_add(by, order);
        }
    }

    /// The part of it that this thread has counted, and those that share its place.
    pub(crate) fn here(&self) -> u64 {
        let place = PLACE.try_with(|place| place.0).unwrap_or(OWN);
        self.0.get(place).map_or(0, |Line(count)| count.load(Ordering::Relaxed))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.iter().map(|place| place.0.load(order)).fold(0, u64::wrapping_add)
    }
}

/// Which of the own places are taken. Its lock orders what a thread counted that has ended before what the next one counts there.
static TAKEN: Mutex<[bool; OWN]> = Mutex::new([false; OWN]);

thread_local! {
    static PLACE: Place = Place::take();
}

/// The place of one thread.
struct Place(usize);

impl Place {
    #[cold]
    fn take() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut taken = lock(&TAKEN);
        match taken.iter().position(|taken| !taken) {
            Some(free) => {
                taken[free] = true;
                Self(free)
            }
            None => Self(OWN + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(taken) = lock(&TAKEN).get_mut(self.0) {
            *taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_threads_count_is_their_sum() {
        let counter = SpreadCounter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * (OWN + SHARED) {
                scope.spawn(|| (0..1_000).for_each(|_| counter.fetch_add(1, Ordering::Relaxed)));
            }
        });
        // One after the other: each takes the place of the one before.
        for _ in 0..4 * OWN {
            std::thread::scope(|scope| scope.spawn(|| counter.fetch_add(1, Ordering::Relaxed)).join())
                .expect("no panic");
        }
        assert_eq!(counter.load(Ordering::Relaxed), 4 * OWN as u64 + 2_000 * (OWN + SHARED) as u64);
    }
}
