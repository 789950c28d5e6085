//! How long a value serves: fresh, then stale, then only where its load fails; and when it is loaded anew before that.

use std::time::Duration;

use crate::format::header::{ERROR, Header, NONE};
use crate::ground::clock::Timestamp;

/// What a site, or the cache's defaults, say of values that age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Freshness {
    /// How long past its TTL a value serves at once, while one caller loads it anew.
    pub(crate) stale: Duration,
    /// How old a value may be that serves in place of a load that failed; `None`: as old as a stale one.
    pub(crate) max_age: Option<Duration>,
    /// The part of its TTL, in percent, after which a value is loaded anew though it is fresh.
    pub(crate) refresh: Option<u8>,
}

/// What a value is to a reader now. What none of them is, is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    /// Fresh, and to be loaded anew by one caller.
    Due,
    /// Past its TTL. It serves, and is to be loaded anew by one caller.
    Stale,
    /// It serves where its load fails.
    Spare,
}

impl Freshness {
    /// How long a value is there that is fresh for `life`: fresh, and at all.
    pub(crate) fn lives(&self, life: Duration) -> (Duration, Duration) {
        let all = self.max_age.unwrap_or_else(|| life.saturating_add(self.stale));
        (life.min(all), all)
    }

    /// What the value under this header is now, if it is readable.
    pub(crate) fn age(&self, header: &Header, now: Timestamp) -> Option<Age> {
        // Neither an error nor the knowledge that there is no value outlives its TTL.
        let is_value = !header.has(NONE) && !header.has(ERROR);
        if !header.is_readable(now) {
            None
        } else if now < header.fresh_until {
            Some(if is_value && now >= self.due_at(header) { Age::Due } else { Age::Fresh })
        } else if !is_value {
            None
        } else if now < header.fresh_until.plus(self.stale) {
            Some(Age::Stale)
        } else {
            (self.stale > Duration::ZERO || self.max_age.is_some()).then_some(Age::Spare)
        }
    }

    /// When the value is to be loaded anew. It is spread as the value's TTL is.
    pub(crate) fn due_at(&self, header: &Header) -> Timestamp {
        let Some(percent) = self.refresh else { return header.fresh_until };
        let fresh = header.fresh_until.since(header.stored_at);
        header.stored_at.plus(fresh.mul_f64(f64::from(percent.min(100)) / 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ages(freshness: Freshness, flags: u8) -> Vec<Option<Age>> {
        let (fresh, all) = freshness.lives(seconds(10));
        let stored = Timestamp(1_000_000);
        let header = Header::new()
            .with_flags(flags)
            .with_stored_at(stored)
            .with_fresh_until(stored.plus(fresh))
            .with_gone_at(stored.plus(all));
        [0, 7, 8, 9, 10, 14, 15, 29, 30]
            .map(|after| freshness.age(&header, stored.plus(seconds(after))))
            .to_vec()
    }

    #[test]
    fn a_value_is_fresh_then_due_then_stale_then_spare_then_gone() {
        use Age::{Due, Fresh, Spare, Stale};
        let all = Freshness { stale: seconds(5), max_age: Some(seconds(30)), refresh: Some(80) };
        let (f, d, st, sp) = (Some(Fresh), Some(Due), Some(Stale), Some(Spare));
        assert_eq!(ages(all, 0), [f, f, d, d, st, st, sp, sp, None]);
        let plain = Freshness::default();
        assert_eq!(ages(plain, 0), [f, f, f, f, None, None, None, None, None]);
        let stale = Freshness { stale: seconds(5), ..plain };
        assert_eq!(ages(stale, 0), [f, f, f, f, st, st, None, None, None]);
        let spare = Freshness { max_age: Some(seconds(30)), ..plain };
        assert_eq!(ages(spare, 0), [f, f, f, f, sp, sp, sp, sp, None]);
        for flags in [NONE, ERROR] {
            assert_eq!(ages(all, flags), [f, f, f, f, None, None, None, None, None], "no value");
        }
    }

    #[test]
    fn the_greatest_age_ends_a_value_that_is_fresh_too() {
        let freshness = Freshness { stale: seconds(5), max_age: Some(seconds(7)), refresh: None };
        assert_eq!(freshness.lives(seconds(10)), (seconds(7), seconds(7)));
        assert_eq!(freshness.lives(seconds(3)), (seconds(3), seconds(7)));
        let endless = Freshness { stale: Duration::MAX, ..Freshness::default() };
        assert_eq!(endless.lives(seconds(3)), (seconds(3), Duration::MAX));
    }
}
