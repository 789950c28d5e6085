//! The versions of an entry's tags: captured before its value is made, for as long as the value may live.
//!
//! A version that lapses before an entry that carries it costs a miss, and never lets a stale value be read. So how long it
//! lives is a matter of economy: by the longest TTL that is stored under the tag, so that a tag for each row does not fill the
//! server with versions of rows that are long gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::engine::core::Core;
use crate::engine::prepare::Prepared;
use crate::engine::raw::RawEntry;
use crate::format::header::Stamp;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::error::Result;
use crate::policy::ttl::Ttl;

/// What versions live longer than the entry, besides the time that its load may take: the capture comes before the fill, and
/// both take a while.
const MARGIN: Duration = Duration::from_secs(60);

impl Core {
    /// Takes note of the name of a tag, where names are told.
    #[inline]
    pub(crate) fn called(&self, key: &VersionKey, name: &str) {
        #[cfg(feature = "reports")]
        if self.settings.tag_names > 0 && !self.settings.seals.are_any() {
            self.tag_names.called(key.hash, name, self.settings.tag_names);
        }
        #[cfg(not(feature = "reports"))]
        let _ = (self, key, name);
    }

    /// These versions were captured.
    #[inline]
    pub(crate) fn captured(&self, keys: &[VersionKey], versions: &[Version]) {
        #[cfg(feature = "reports")]
        if self.settings.tag_names > 0 {
            self.tag_names.captured(keys, versions);
        }
        #[cfg(not(feature = "reports"))]
        let _ = (self, keys, versions);
    }
}

impl RawEntry {
    /// How long the versions that are captured before a load must live, as far as its value's TTL is known by then.
    pub(crate) fn version_life(&self) -> Duration {
        let none = self.policy.none_ttl.filter(|_| self.policy.cache_none);
        let failed = self.policy.err_ttl.filter(|_| self.policy.cache_err);
        let lives = [none, failed, Some(self.ttl())].into_iter().flatten().map(|ttl| self.longest_life(ttl));
        let longest = lives.max().unwrap_or_default();
        longest.saturating_add(self.lease_limit()).saturating_add(MARGIN)
    }

    /// How long the versions must live under which a value of this TTL is stored.
    fn life_under(&self, ttl: Ttl) -> Duration {
        self.longest_life(ttl).saturating_add(MARGIN)
    }

    /// How long a tagged entry of this TTL lives at most.
    fn longest_life(&self, ttl: Ttl) -> Duration {
        let longest = match ttl {
            Ttl::Never => ttl,
            Ttl::For(ttl) => Ttl::For(self.core.longest(ttl, self.policy.jitter)),
        };
        self.lives(longest, true, true).1
    }

    /// Captures these versions now, each to live so long at least, creating those that are missing.
    pub(crate) async fn capture_now(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let versions = self.timed("capture", self.core.store.capture(keys, life)).await?;
        self.core.captured(keys, &versions);
        Ok(versions)
    }

    /// Stamps of these tags as of now, for a value of this TTL.
    pub(crate) async fn stamp(&self, keys: &[VersionKey], ttl: Ttl) -> Result<Vec<Stamp>> {
        let versions = self.capture_now(keys, self.life_under(ttl)).await?;
        Ok(keys.iter().zip(versions).map(|(key, version)| Stamp { tag: key.hash, version }).collect())
    }

    /// Stamps of the known tags as of now, for a value of this TTL that is yet to be made. From then on the store's time is
    /// known.
    pub(crate) async fn stamps_now(&self, ttl: Ttl) -> Result<Vec<Stamp>> {
        if self.tags.is_empty() {
            self.core.store.time().await.inspect_err(|error| self.failed(error))?;
        }
        self.stamp(&self.tags, ttl).await
    }
}

impl Prepared {
    /// How long the versions must live under which this is stored.
    pub(crate) fn version_life(&self, raw: &RawEntry) -> Duration {
        raw.life_under(self.ttl)
    }

    /// How long the versions of the tags that were known before the load must live now, where that is longer than they were
    /// captured for: the value says its TTL.
    pub(crate) fn prolongs(&self, raw: &RawEntry) -> Option<Duration> {
        let life = self.version_life(raw);
        (!raw.tags.is_empty() && life > raw.version_life()).then_some(life)
    }

    /// Lets the versions that were captured before the load live as long as this value. Where that fails they lapse early.
    pub(crate) async fn prolong_versions(&self, raw: &RawEntry) {
        if let Some(life) = self.prolongs(raw) {
            // Counted; the value is stored all the same. On the heap, so that fills without it stay small.
            let _ = Box::pin(raw.capture_now(&raw.tags, life)).await;
        }
    }
}

/// [`Prepared::prolong_versions`] of many values.
pub(crate) async fn prolong_all<'a>(
    core: &Arc<Core>,
    values: impl Iterator<Item = (&'a RawEntry, &'a Prepared)>,
) {
    let mut lives = Lives::default();
    for (raw, prepared) in values {
        if let Some(life) = prepared.prolongs(raw) {
            for tag in &raw.tags {
                lives.add(tag.clone(), life);
            }
        }
    }
    // Counted; the values are stored all the same.
    let _ = lives.capture(core).await;
}

/// Versions of many entries, each with the longest life that one of them needs.
#[derive(Default)]
pub(crate) struct Lives(HashMap<VersionKey, Duration>);

impl Lives {
    pub(crate) fn add(&mut self, key: VersionKey, life: Duration) {
        let longest = self.0.entry(key).or_default();
        *longest = life.max(*longest);
    }

    /// Captures each for its life, with one request for lives of about the same length, and gives them by their tags.
    pub(crate) async fn capture(self, core: &Arc<Core>) -> Result<HashMap<u64, Version>> {
        let mut alike: HashMap<u64, Vec<VersionKey>> = HashMap::new();
        for (key, life) in self.0 {
            alike.entry(life.as_secs().next_power_of_two()).or_default().push(key);
        }
        let captures = alike.into_iter().map(async |(seconds, keys)| {
            let versions =
                core.timed("capture", core.store.capture(&keys, Duration::from_secs(seconds))).await?;
            core.captured(&keys, &versions);
            Ok(keys.into_iter().map(|key| key.hash).zip(versions))
        });
        Ok(try_join_all(captures).await?.into_iter().flatten().collect())
    }
}
