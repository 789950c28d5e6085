//! Loads ahead of use. They take ordinary leases, so evicts and other callers win; they count neither as hits nor as misses.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::calls::load::Call;
use crate::engine::core::Core;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Headed, Miss, headed};
use crate::format::header::{self, Header};
use crate::format::ids::FillId;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::{MOST_ENTRIES, MOST_TAGS, chunks};
use crate::ground::error::Result;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Age;
use crate::policy::mode::{CameTo, came_to};
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;
use crate::store::{Excerpt, ReadRequest, Version};

/// How many stamps a look at the header alone brings along.
const HEAD_STAMPS: usize = 16;

impl<V: Value, O> Call<'_, O, V> {
    /// The value that is there, or its load. Gives the rules back: a reference to them could not be held.
    pub(crate) async fn warm<R, X, F>(mut self, rules: X, body: Pin<&mut F>) -> (R, X)
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        let (raw, outcome) = (self.raw, self.outcome);
        let miss = match self.look_ahead().await {
            Ok(found) => {
                came_to(CameTo::Found);
                return (found, rules);
            }
            Err(miss) => miss,
        };
        let ran = AtomicBool::new(false);
        let body = pin!(async {
            ran.store(true, Ordering::Relaxed);
            body.await
        });
        let (returned, rules) = self.finish(miss, rules, body).await;
        came_to(if outcome.is_err(&returned) || miss.reason == MissReason::StoreFailed {
            CameTo::Failed
        } else if ran.load(Ordering::Relaxed) {
            raw.record(Event::Warmed);
            CameTo::Loaded
        } else {
            CameTo::Found
        });
        (returned, rules)
    }

    /// A read whose value may be returned: fresh, or another caller's to load anew.
    async fn look_ahead<R>(&mut self) -> Result<R, Miss>
    where
        O: Outcome<R, Value = V>,
    {
        let (entry, raw, outcome) = (self.entry, self.raw, self.outcome);
        let Ok((looked, read)) = raw.look_as_of(entry.expected().or_spare()).await else {
            return Err(Miss { reason: MissReason::StoreFailed, seen: FillId::NONE });
        };
        self.state.read = Some(read);
        let Some(usable) = looked.aging() else {
            return looked.decoded(|usable| entry.revive(raw, outcome, usable)).map(|found| found.value);
        };
        let (age, seen) = (usable.age, usable.header.fill_id);
        let reason = if age == Age::Spare {
            MissReason::Expired
        } else {
            if !raw.is_own() {
                self.state.elected = raw.elect(&usable, self.state.late_tags).await;
            }
            MissReason::Due
        };
        // Nobody is served: it counts neither as a hit nor as stale.
        if self.state.elected.is_some() {
            raw.record(Event::Refresh);
        } else if reason == MissReason::Due
            && let Some(value) = entry.revive(raw, outcome, &usable)
        {
            return Ok(value);
        }
        self.state.spare = Some(Box::new(usable));
        Err(Miss { reason, seen })
    }
}

/// An entry whose load may not be needed.
pub(crate) struct Ahead {
    pub(crate) raw: RawEntry,
    pub(crate) expected: Expected,
}

/// Which of these entries are fresh, by their headers and tags: a request for 256 of them. Those of other caches are not judged, nor what is
/// sealed: whoever is to load it reads it whole first.
///
/// # Errors
/// Where the store failed.
pub(crate) async fn fresh(core: &Arc<Core>, entries: &[Option<Ahead>]) -> Result<Vec<bool>> {
    // G8: of what is sealed the header alone is not believed.
    let is_told = |ahead: &&Ahead| ahead.raw.core.id == core.id && !ahead.expected.sealed;
    let told =
        entries.iter().enumerate().filter_map(|(at, ahead)| Some((at, ahead.as_ref().filter(is_told)?)));
    let mut fresh = vec![false; entries.len()];
    for chunk in chunks(told, MOST_ENTRIES, MOST_TAGS, |(_, ahead)| ahead.raw.tags.len()) {
        let keys: Vec<&str> = chunk.iter().map(|(_, ahead)| &*ahead.raw.full).collect();
        core.settle(&keys).await?;
        let mut tags: Vec<VersionKey> =
            chunk.iter().flat_map(|(_, ahead)| &ahead.raw.tags).cloned().collect();
        tags.sort_unstable_by_key(|tag| tag.hash);
        tags.dedup();
        let request = ReadRequest::new(&keys).with_versions(&tags);
        let request = request.with_first(header::FIXED + HEAD_STAMPS * header::STAMP);
        let read = core.timed("read", core.store.read(request)).await?;
        let versions: HashMap<u64, Option<Version>> =
            tags.iter().map(|tag| tag.hash).zip(read.versions.iter().copied()).collect();
        for ((at, ahead), head) in chunk.iter().zip(read.entries) {
            if let Some(head) = head {
                fresh[*at] = is_fresh(ahead, &head, &versions).await?;
            }
        }
    }
    Ok(fresh)
}

async fn is_fresh(ahead: &Ahead, head: &Excerpt, versions: &HashMap<u64, Option<Version>>) -> Result<bool> {
    let Ahead { raw, expected } = ahead;
    let now = raw.core.store.now();
    let end = |header: &Header| header::FIXED + usize::from(header.stamps) * header::STAMP;
    let header = match headed(&head.bytes, head.length, &raw.full, now, *expected) {
        Ok(Headed::Usable(header, Age::Fresh)) => Some(header),
        Ok(Headed::Usable(..)) | Err(_) => return Ok(false),
        Ok(Headed::Torn) => None,
    };
    let stamps = header.and_then(|header| head.bytes.get(header::FIXED..end(&header)));
    let Some(stamps) = stamps else {
        // More stamps than came along, or another entry by now.
        let found = raw.peek(*expected).await?;
        return Ok(found.and_then(|header| expected.freshness.age(&header, now)) == Some(Age::Fresh));
    };
    let own: Vec<_> = raw.tags.iter().map(|tag| versions.get(&tag.hash).copied().flatten()).collect();
    Ok(raw.stamped(header::read_stamps(stamps), &own).await?.is_none())
}
