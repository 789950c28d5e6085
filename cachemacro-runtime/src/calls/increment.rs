//! Adding to a number, in the store itself where nothing depends on the sum. Never onto a value that a read would not
//! return because of its tags.

use std::time::Duration;

use bytes::Bytes;

use crate::calls::update::{DEADLINES, MOST_ROUNDS, contention};
use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::engine::read::Looked;
use crate::engine::spending;
use crate::format::header;
use crate::format::header::{FIXED, Header, MAX_STAMPS, STAMP, Stamp};
use crate::format::ids::FillId;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::store::{Increment, IncrementOutcome, OtherStamps};

impl Entry<i64> {
    /// Adds `by` to a number, atomically and in one round trip (two where the entry has tags; more where what is
    /// stored has others), creating it with `by` where there is none that [`get`](Self::get) would return. Returns the
    /// sum. The TTL counts from the creation.
    ///
    /// Where the entry has [rules](Self::with_rules), it is an [`update`](Self::update) instead, so that each sum follows
    /// them: it is stored as `set` stores it, where only handles with rules can increment it, its TTL counts from the
    /// sum, and one that the rules forbid is refused. So is one that is sealed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let visits = cachemacro::Cache::memory().entry::<i64>("visits", "home");
    /// assert_eq!(visits.increment(1).await?, 1);
    /// assert_eq!(visits.increment(2).await?, 3);
    /// assert_eq!(visits.get().await?, Some(3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed; [`ErrorKind::WrongType`] where the entry was not made by `increment`, or the sum is no
    /// `i64`; [`ErrorKind::Encode`] where the entry's rules forbid to store it; [`ErrorKind::Contention`] where others
    /// changed the entry's tags, or under rules the entry, 100 times; [`ErrorKind::Disabled`] where the cache is.
    pub async fn increment(&self, by: i64) -> Result<i64> {
        // The server cannot add to what it cannot read.
        if !self.rules().is_none() || self.raw.as_ref().is_ok_and(RawEntry::is_sealed) {
            return self.try_update(|number| sum(number.unwrap_or(0), by)).await;
        }
        spending::after_first(self.deadline().map(|time| time * DEADLINES), self.add_in_time(by)).await
    }

    async fn add_in_time(&self, by: i64) -> Result<i64> {
        let raw = self.updatable()?;
        let core = &raw.core;
        if raw.tags.len() > MAX_STAMPS {
            return Err(Error::new(ErrorKind::TooLarge, "the number has more tags than an entry can carry"));
        }
        raw.settle().await?;
        let mut found = None;
        for _ in 0..MOST_ROUNDS {
            // Read after the entry was found: a number made in its place is not removed by an evict from before.
            let stamps = raw.stamps_now(raw.ttl()).await?;
            let judged = match found {
                Some(entry) => Some(self.judge(raw, entry, &stamps).await?),
                None => None,
            };
            let others = match &judged {
                None => OtherStamps::Unknown,
                Some((stamps, true)) => OtherStamps::Valid(stamps),
                Some((stamps, false)) => OtherStamps::Outdated(stamps),
            };
            let life = raw.ttl().life(!stamps.is_empty());
            let increment =
                Increment::new(&raw.full, by, fresh(raw, &stamps, life), life).with_others(others);
            match raw.timed("increment", core.store.increment(increment)).await? {
                IncrementOutcome::Added(sum) => {
                    core.changed(&raw.full);
                    raw.record(Event::Put);
                    return Ok(sum);
                }
                IncrementOutcome::Found(entry) => found = Some(entry),
            }
        }
        Err(contention(raw))
    }
}

impl Entry<i64> {
    /// The bytes of a found entry's stamps, and whether the number still counts, compared with the tags' versions now.
    async fn judge(&self, raw: &RawEntry, entry: Bytes, now: &[Stamp]) -> Result<(Bytes, bool)> {
        let header = Header::parse(&entry)
            .ok()
            .filter(|header| header.total_len() == entry.len())
            .ok_or_else(|| Error::new(ErrorKind::Refused, "what the store found is no entry"))?;
        let stamps = entry.slice(FIXED..FIXED + usize::from(header.stamps) * STAMP);
        let versions: Vec<_> = now.iter().map(|stamp| Some(stamp.version)).collect();
        let counts = match raw.verify(entry, &versions, self.stored()).await? {
            Looked::Miss(miss) => !matches!(miss.reason, MissReason::TagEvicted | MissReason::TagLacking),
            Looked::Usable(_) => true,
        };
        // A reader's other objections (expired, no number) are the store's to decide, in its script.
        Ok((stamps, counts))
    }
}

fn sum(number: i64, by: i64) -> Result<i64> {
    number
        .checked_add(by)
        .ok_or_else(|| Error::new(ErrorKind::WrongType, "the sum does not fit into 64 bits"))
}

/// Header and stamps of a number that is not there yet.
fn fresh(raw: &RawEntry, stamps: &[Stamp], life: Duration) -> Bytes {
    let now = raw.core.store.now();
    let header = Header {
        codec: header::DECIMAL,
        fill_id: FillId::random(),
        key_hash: Key::header_hash(&raw.full),
        stored_at: now,
        fresh_until: now.plus(life),
        gone_at: now.plus(life),
        ..Header::default()
    };
    header::assemble(header, stamps, &[]).into()
}
