//! Refreshes: of all who find a value due or stale, one in the fleet loads it anew, and the others are served it meanwhile.
//!
//! The lease of a refresh lies under a second key, which is named by the entry's key and by the value's fill id. It is a lease like
//! any other, of a key that never holds a value. So nothing is written to the entry before the new value is, neither evict, put
//! nor load waits for a refresh, and what is left of one concerns no later value. The fill is accepted only where value and lease in
//! the entry are those that the refresh began with.

use std::time::Duration;

use crate::engine::asking::{self, Answer, Capture, Wanted};
use crate::engine::flight::Lead;
use crate::engine::lease::{Held, Refreshed};
use crate::engine::raw::RawEntry;
use crate::engine::read::Usable;
use crate::format::header::{FIXED, Header};
use crate::ground::error::Result;
use crate::store::ReadRequest;

/// After which time a value is looked at again whose refresh another process has begun, at most: that one may be dropped.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The right to refresh a value, with the flight of those who wait for it.
pub(crate) struct Elected {
    pub(crate) lead: Lead,
    pub(crate) held: Held,
}

impl RawEntry {
    /// Asks for the right to refresh this value, which a read of this entry found. `None`: it is served as it is.
    pub(crate) async fn elect(&self, usable: &Usable, late_tags: bool) -> Option<Box<Elected>> {
        let (core, header) = (&self.core, &usable.header);
        // Never beside a put, nor beside a load that found the value unusable: these store what is newer.
        if header.is_leased(core.store.now()) || core.pacing.rests(header.fill_id) {
            return None;
        }
        let lead = self.lead_alone(late_tags)?;
        let value = Refreshed { seen: header.fill_id, token: header.token };
        let wanted = Wanted::refresh(self, value, Capture::of(self, late_tags));
        let held = match asking::acquire(self, wanted).await {
            Answer::Held(held) => held.refreshes(value),
            Answer::Busy(left, _) => {
                core.pacing.rest(header.fill_id, left.min(LOOK_AGAIN));
                return None;
            }
            Answer::Found(..) | Answer::Late | Answer::Failed => return None,
        };
        // G5: who held the lease before may have stored a newer value since this one was read. G1: a tag that was evicted since
        // makes it no stale value but none, which the next reader loads.
        let named = self.named().len();
        let holds = held.captured(&self.tags).enumerate().all(|(at, (tag, version))| {
            match usable.stamps().find(|stamp| stamp.tag == tag) {
                Some(stamp) => stamp.version == version,
                None => at >= named,
            }
        });
        if !holds || !self.is_unchanged(value, header).await.unwrap_or(false) {
            return None;
        }
        Some(Box::new(Elected { lead, held }))
    }

    /// Whether this value is still there, stored as long ago, under the same lease, held or not.
    async fn is_unchanged(&self, value: Refreshed, header: &Header) -> Result<bool> {
        let keys = [&*self.full];
        let request = ReadRequest::new(&keys).with_first(FIXED);
        let head = self.timed("read", self.core.store.read(request)).await?.into_entry();
        let now = head.and_then(|head| Header::parse(&head).ok());
        // An equal value that another loaded meanwhile has the same fill id.
        let is_same = |now: Header| now.fill_id == value.seen && now.stored_at == header.stored_at;
        Ok(now.is_some_and(|now| is_same(now) && now.token == value.token))
    }
}
