//! Keeps what this process loads and stores as a copy in its local tier too.
//!
//! A fill is a change like any other: the store tells this process of it too, and nothing tells that from what another process changed
//! at the same moment. So once the fill was told, the store is asked whether the value is there, by its header alone, and the copy is
//! kept under the same rule as one that was read (G3). Nobody waits for that.

use std::time::Duration;

use tokio::time::timeout;

use crate::engine::raw::RawEntry;
use crate::engine::read::Expected;
use crate::format::header::Stamp;
use crate::format::ids::FillId;
use crate::local::tier::{Begun, LocalCopy};
use crate::policy::freshness::Age;

/// How long to wait for the store to tell of the fill.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the store is asked: the first change that it told of may have been that of the lease.
const MOST_LOOKS: usize = 2;
/// How many fills and copies may be under way where one more copy is begun.
const MOST_AT_ONCE: usize = 4_096;

/// A value that is about to be stored, to be kept here as well.
pub(crate) struct Copying {
    pub(crate) raw: RawEntry,
    pub(crate) expected: Expected,
    pub(crate) ttl: Duration,
    /// Names the value in the store.
    pub(crate) fill_id: FillId,
    pub(crate) copy: LocalCopy,
}

/// A value whose fill was sent.
pub(crate) struct Sent {
    copying: Box<Copying>,
    tags: Vec<u64>,
    fill: Begun,
}

impl Copying {
    /// Its fill is sent now, with these stamps.
    pub(crate) fn sent(self: Box<Self>, stamps: &[Stamp]) -> Option<Box<Sent>> {
        let tags: Vec<u64> = stamps.iter().map(|stamp| stamp.tag).collect();
        let fill = self.raw.begin_copy(self.raw.core.tier.as_deref()?, tags.iter().copied());
        Some(Box::new(Sent { copying: self, tags, fill }))
    }
}

impl Sent {
    /// Keeps the copy, once the fill was answered.
    pub(crate) fn keep_later(self: Box<Self>) {
        let core = self.copying.raw.core.clone();
        // Each holds its value meanwhile. One that is left out is kept by the next call's read.
        let Some(one) = core.under_way.begin_below(MOST_AT_ONCE) else { return };
        core.background.spawn(async move {
            self.keep().await;
            drop(one);
        });
    }

    async fn keep(self) {
        let Self { copying, tags, fill } = self;
        let Copying { raw, expected, ttl, fill_id, copy } = *copying;
        let Some(tier) = raw.core.tier.as_deref() else { return };
        if !tier.is_on() && !raw.policy.validate {
            return;
        }
        if tier.is_on() && timeout(PATIENCE, fill.told()).await.is_err() {
            return;
        }
        for _ in 0..MOST_LOOKS {
            let begun = raw.begin_copy(tier, tags.iter().copied());
            let Ok(Some(header)) = raw.peek(expected).await else { return };
            if header.fill_id != fill_id
                || raw.freshness().age(&header, raw.core.store.now()) != Some(Age::Fresh)
            {
                return;
            }
            if begun.is_sound() {
                tier.keep(begun, [], raw.life_of_copy(&header, ttl), copy);
                return;
            }
        }
    }
}
