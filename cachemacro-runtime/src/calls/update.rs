//! Atomic read-modify-write: the change is computed here and stored if nobody was faster, else repeated.

use std::time::Duration;

use crate::engine::entry::Entry;
use crate::engine::raw::{RawEntry, to_capture};
use crate::engine::read::{Expected, Looked, Miss};
use crate::engine::spending;
use crate::format::ids::{FillId, Version};
use crate::format::stamps::VersionKey;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::after_round;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Freshness;
use crate::policy::outcome::Value;
use crate::policy::rules::NoRules;
use crate::store::{Guard, ReadRequest, Write};

/// How often an update is repeated. Updates of one process queue up, so each round lost is another process's
/// update that went through.
pub(crate) const MOST_ROUNDS: u32 = 100;

/// How many deadlines it has in all, because it may have to be repeated.
pub(crate) const DEADLINES: u32 = 4;

impl<T: Value> Entry<T> {
    /// Replaces the value by what `change` makes of it (`None`: there is none), atomically: where another writer
    /// comes between, `change` runs again on the newer value. Returns what was stored. Clears any lease, so a load
    /// that is under way does not overwrite it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cart = cachemacro::Cache::memory().entry::<Vec<String>>("cart", 7);
    /// cart.update(|items| {
    ///     let mut items = items.unwrap_or_default();
    ///     items.push("tea".to_owned());
    ///     items
    /// })
    /// .await?;
    /// assert_eq!(cart.get().await?, Some(vec!["tea".to_owned()]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed or the value cannot be encoded (nothing changed, unless the error
    /// [`is_ambiguous`](Error::is_ambiguous)); [`ErrorKind::Contention`] where others were faster 100 times.
    /// [`ErrorKind::Disabled`] where the cache is: there is nothing to update.
    pub async fn update(&self, mut change: impl FnMut(Option<T>) -> T) -> Result<T> {
        self.try_update(|current| Ok(change(current))).await
    }

    /// [`update`](Self::update) with a change that can fail: then nothing changes.
    pub(crate) fn try_update(
        &self,
        change: impl FnMut(Option<T>) -> Result<T>,
    ) -> impl Future<Output = Result<T>> {
        spending::after_first(self.deadline().map(|time| time * DEADLINES), self.update_in_time(change))
    }

    async fn update_in_time(&self, mut change: impl FnMut(Option<T>) -> Result<T>) -> Result<T> {
        let raw = self.updatable()?;
        let core = raw.core.clone();
        let queued = core.turns.queue(&raw.full);
        // Best effort. Waiting in line saves rounds, but the one in front may have been dropped, so the wait has an end
        // and the update is right without it.
        let _turn = tokio::time::timeout(raw.wait(), queued.turn()).await;
        let capture = to_capture(raw, self.has_late_tags(&NoRules));
        let expected = self.stored();
        for round in 0..MOST_ROUNDS {
            let (looked, captured) = raw.look_to_change(expected, &capture).await?;
            let (current, seen) = match looked {
                Looked::Usable(usable) => {
                    let seen = usable.header.fill_id;
                    (self.decode(&usable), seen)
                }
                // An expired or damaged value may be none to the store: every second round claims to have seen nothing.
                Looked::Miss(Miss { reason: MissReason::Expired | MissReason::Malformed, .. })
                    if round % 2 == 1 =>
                {
                    (None, FillId::NONE)
                }
                Looked::Miss(miss) => (None, miss.seen),
            };
            let value = change(current).inspect_err(|error| raw.failed(error))?;
            let prepared = self.try_prepare(raw, &NoRules, &value);
            let Some(prepared) = prepared.inspect_err(|error| raw.failed(error))? else {
                return Err(Error::new(
                    ErrorKind::Encode,
                    "an update's value must be storable: its TTL or rules forbid it",
                ));
            };
            // G1: one of the value's tags may have been evicted since, so `current` may be what that evict removed.
            let Some(stamps) = prepared.stamps(raw, &captured).await? else { continue };
            let (bytes, life) = prepared.assemble(raw, &stamps, Duration::ZERO);
            let length = bytes.len();
            let write = Write::new(&raw.full, bytes, life).with_guard(Guard::Seen(seen));
            let written = raw.timed("write", core.store.write_one(write));
            if tokio::join!(prepared.prolong_versions(raw), written).1?.accepted {
                core.changed(&raw.full);
                raw.record(Event::Put);
                raw.record(Event::BytesWritten(length));
                prepared.is_stored(raw, true, life);
                return Ok(value);
            }
            tokio::time::sleep(after_round(round)).await;
        }
        Err(contention(raw))
    }
}

impl<T: Value> Entry<T> {
    /// The raw entry, for an operation that makes no sense without a cache.
    pub(crate) fn updatable(&self) -> Result<&RawEntry> {
        if self.core().settings.disabled {
            return Err(Error::new(ErrorKind::Disabled, "the cache is disabled: there is nothing to update"));
        }
        self.raw()
    }

    /// Takes what is stored and fresh, however old: an update must not lose a value that `Mode::MaxAge` hides from readers. What is
    /// stale is to be loaded anew, and an update would make it fresh.
    pub(crate) fn stored(&self) -> Expected {
        Expected { max_age: None, freshness: Freshness::default(), ..self.expected() }
    }
}

impl RawEntry {
    /// What is stored, and the captured versions to store under what is made of it.
    async fn look_to_change(
        &self,
        expected: Expected,
        capture: &[VersionKey],
    ) -> Result<(Looked, Vec<Version>)> {
        self.settle().await?;
        // G1: before the value is read, as before a load.
        let mut captured = self.capture_now(capture, self.version_life()).await?;
        let keys = [&*self.full];
        let request = ReadRequest::new(&keys).with_versions(&self.tags);
        let (entry, versions) = self.timed("read", self.core.store.read(request)).await?.into_one();
        let looked = self.found(entry, &versions, expected).await?;
        let moved = versions.iter().zip(&captured).any(|(now, before)| *now != Some(*before));
        match looked {
            // A tag was evicted in between: no reader would see what is stored under these versions.
            Looked::Usable(_) if moved => {
                // The value is a newer one, and its stamps are the versions that were read with it.
                for (captured, now) in captured.iter_mut().zip(versions.into_iter().flatten()) {
                    *captured = now;
                }
            }
            // A value made from nothing cannot be outdated by evicts from before now.
            Looked::Miss(_) if moved => {
                captured = self.capture_now(capture, self.version_life()).await?;
            }
            Looked::Usable(_) | Looked::Miss(_) => {}
        }
        Ok((looked, captured))
    }
}

/// The error where others were faster in every round; counted.
pub(crate) fn contention(raw: &RawEntry) -> Error {
    let error = Error::new(ErrorKind::Contention, "others changed the entry each time");
    raw.failed(&error);
    error
}
