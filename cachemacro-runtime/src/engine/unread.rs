//! Calls that ask for the lease without a read before it.
//!
//! A read that finds nothing is a round trip that only leads to the next one. Where a function's last looks all found nothing, its next
//! call leaves it out, and the request for the lease decides: nothing is there and the lease is taken, or the store gives back what is
//! there, a value or who holds the lease. For the protocol that is a caller whose read found nothing as it began: what may have been stored
//! since is what the request shows (G1). A guess that was wrong costs that call two requests in the place of a read that combines with
//! others': one to take the lease, refused, and one that gives back what is there. After it the function's calls read first again.

use crate::engine::flight::{AsOf, Lead};
use crate::engine::raw::RawEntry;
use crate::ground::error::Result;
use crate::store::Few;

impl RawEntry {
    /// Whether a call is likely to find nothing, and needs nothing else that a read would show: versions of tags, or a value that ages and
    /// serves meanwhile.
    #[inline]
    pub(crate) fn expects_nothing(&self, late_tags: bool) -> bool {
        self.counters().is_some_and(|counters| counters.absent.is_long()) && self.needs_no_read(late_tags)
    }

    fn needs_no_read(&self, late_tags: bool) -> bool {
        let freshness = self.freshness();
        let ages = !freshness.stale.is_zero() || freshness.max_age.is_some() || freshness.refresh.is_some();
        let is_tagged = late_tags || !self.tags.is_empty() || self.recall.is_some();
        // In memory a read is no round trip.
        !self.core.store.is_memory() && !is_tagged && !ages && !self.is_own()
    }

    /// The lead of a call that does not read. `None` where another call leads: by a read this one may find a value meanwhile.
    pub(crate) async fn lead_unread(&self) -> Result<Option<Lead>> {
        // G7: as before a read.
        self.settle().await?;
        Ok(self.lead_alone(false))
    }

    /// What a read shows of no tags.
    pub(crate) fn of_no_tags(&self) -> AsOf {
        AsOf::new(self.core.flights.captures(), Few::default())
    }

    /// Takes note of whether a look, or a request instead of one, found nothing at all.
    #[inline]
    pub(crate) fn looked(&self, found_nothing: bool) {
        let Some(counters) = self.counters() else { return };
        if found_nothing { counters.absent.goes_on() } else { counters.absent.breaks() }
    }
}
