//! How many entries that hold no value each site may have: a caller that asks for ids at random must not fill the cache with the
//! knowledge that there is nothing under them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use crate::ground::clock::Timestamp;
use crate::ground::sync::lock;
use crate::observe::site::SiteId;

/// For how long one counts, however long it lives: it may be evicted without anybody telling.
const COUNTS_FOR: Duration = Duration::from_secs(60 * 60);

/// When those that this process stored are over, by site.
#[derive(Debug, Default)]
pub(crate) struct Negatives(Mutex<HashMap<Option<SiteId>, BinaryHeap<Reverse<Timestamp>>>>);

impl Negatives {
    /// Whether one more may be stored that lives so long; then it counts.
    pub(crate) fn admit(&self, site: Option<SiteId>, now: Timestamp, life: Duration, most: usize) -> bool {
        let mut sites = lock(&self.0);
        let ends = sites.entry(site).or_default();
        while ends.peek().is_some_and(|Reverse(end)| *end <= now) {
            ends.pop();
        }
        let admitted = ends.len() < most;
        if admitted {
            ends.push(Reverse(now.plus(life.min(COUNTS_FOR))));
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::site::Place;

    #[test]
    fn each_site_has_its_own_quota_of_those_that_live() {
        let (negatives, minute) = (Negatives::default(), Duration::from_secs(60));
        let place = Place { line: 1, column: 1, copy: 0, package: None };
        let sites = [None, Some(SiteId::new("app", "get", place))];
        let now = Timestamp(1_000_000);
        for site in sites {
            assert!(negatives.admit(site, now, 2 * minute, 2));
            assert!(negatives.admit(site, now, minute, 2));
            assert!(!negatives.admit(site, now, minute, 2));
            assert!(negatives.admit(site, now.plus(minute), minute, 2), "one of them is over");
            assert!(!negatives.admit(site, now.plus(minute), minute, 2));
        }
        assert!(!negatives.admit(None, now, minute, 0));
        assert!(negatives.admit(None, now.plus(3 * minute), Duration::MAX, 1));
        assert!(negatives.admit(None, now.plus(COUNTS_FOR + 3 * minute), minute, 1), "perhaps evicted since");
    }
}
