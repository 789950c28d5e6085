//! Which hits are held against what their functions return now, and what a difference means.
//!
//! A difference alone means nothing: a write may be under way whose evict is to come. It counts where the same value is still there,
//! its tags unmoved and nobody about to replace it, and where a second load, of a call for the same key a second later or more,
//! differs too; and once more after ten seconds and after a minute. So one value is suspected first, and calls for its key are looked
//! at again in time. One look at a time per site, five a second per process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::engine::core::Core;
use crate::engine::evict::Attempt;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Looked};
use crate::engine::suspected::{AGAIN, Found, Looks, MOST_FINDINGS, MOST_SUSPECTS, Pace, Sent, Suspect, Way};
use crate::engine::targets::Targets;
use crate::format::header::Header;
use crate::format::ids::FillId;
use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::ground::sync::lock;
use crate::key::Key;
use crate::observe::event::Event;
use crate::observe::finding::{Checked, Finding};
use crate::observe::site::SiteId;
use crate::policy::freshness::Age;
use crate::policy::site::Site;
use crate::policy::ttl::Policy;
use crate::policy::verify::Verify;

/// How a value compares with what its function returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared {
    Same,
    /// In these places.
    Differs(Vec<String>),
    /// The function failed, or one of them cannot be told.
    Unknown,
}

impl Core {
    /// How the hits of this site are looked at, as it says or else the cache.
    fn verify_at(&self, policy: &Policy) -> Option<Verify> {
        policy.verify.or(self.settings.verify).filter(|verify| verify.millionths > 0)
    }

    /// How a call goes on at a site that keeps decoded values, of a cache where some are looked at.
    #[cold]
    pub(crate) fn way_watched(&self, site: &'static Site) -> Way {
        if self.is_off() {
            return Way::Whole;
        }
        if self.settings.hot_keys && self.with_counters(site, |counters| counters.is_next_sampled()) {
            return Way::Counted;
        }
        match self.verify_at(&site.policy) {
            Some(verify) if is_drawn(verify.millionths) => Way::Checked,
            Some(_) if self.verifying.suspects.load(Ordering::Relaxed) > 0 => {
                let now = self.settings.clock.now();
                let (asks, forgotten) = match lock(&self.verifying.sites).get_mut(&Some(site.id())) {
                    Some(looks) => {
                        let forgotten = self.forgotten(looks, now);
                        (looks.asks(now), forgotten)
                    }
                    None => (false, 0),
                };
                for _ in 0..forgotten {
                    self.with_counters(site, |counters| {
                        self.record_at(Some(counters), Event::Checked(Checked::Inconclusive));
                    });
                }
                if asks { Way::Whole } else { Way::Short }
            }
            _ => Way::Short,
        }
    }

    /// Forgets what nobody has asked for in a long time. Returns how many values that came to nothing.
    fn forgotten(&self, looks: &mut Looks, now: Timestamp) -> usize {
        let gone = looks.forgotten(now);
        self.verifying.suspects.fetch_sub(gone.len(), Ordering::Relaxed);
        gone.iter().filter(|suspect| suspect.confirmed == 0).count()
    }

    /// What was found, under the names of the sites.
    pub(crate) fn findings(&self, name: impl Fn(&SiteId) -> String) -> Vec<Finding> {
        let named = |found: &Found| {
            let site = found.site.as_ref().map(&name).unwrap_or_default();
            Finding { site, ..found.finding.clone() }
        };
        lock(&self.verifying.findings).iter().map(named).collect()
    }
}

/// By chance, so many times in a million.
fn is_drawn(millionths: u32) -> bool {
    millionths >= Verify::ALL || rand::random_range(0..Verify::ALL) < millionths
}

/// The right to look at one hit of a site.
pub(crate) struct Turn {
    core: Arc<Core>,
    site: Option<SiteId>,
    key: u64,
    verify: Verify,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(looks) = lock(&self.core.verifying.sites).get_mut(&self.site) {
            looks.is_looking = false;
        }
    }
}

impl RawEntry {
    /// Looks at what a call was sent on with: whether its hit is to be checked. Counts its key, where that is to be.
    pub(crate) fn sent(&self, sent: Option<&Sent>) -> bool {
        if self.core.settings.hot_keys
            && let Some(counters) = self.counters()
            && (matches!(sent, Some(Sent::Counted)) || counters.is_next_sampled())
        {
            counters.asked_for(Key::header_hash(&self.full));
        }
        matches!(sent, Some(Sent::Checked))
    }

    /// Whether the function, which runs in a task of its own where `behind`, is to be run for the next hit too; in any case where
    /// that was `drawn` before.
    pub(crate) fn turn(&self, drawn: bool, behind: bool) -> Option<Turn> {
        let core = &self.core;
        let verify = core.verify_at(&self.policy).filter(|verify| verify.behind == behind)?;
        if self.is_own() || core.has_written() || Handle::try_current().is_err() {
            return None;
        }
        let (verifying, key) = (&core.verifying, Key::header_hash(&self.full));
        let is_suspected = verifying.suspects.load(Ordering::Relaxed) > 0;
        if !drawn && !is_suspected && !is_drawn(verify.millionths) {
            return None;
        }
        let site = self.site.as_ref().map(|(site, _)| site.id());
        let now = core.settings.clock.now();
        let mut sites = lock(&verifying.sites);
        let looks = sites.entry(site).or_default();
        let forgotten = core.forgotten(looks, now);
        let is_due = || looks.suspects.iter().any(|suspect| suspect.key == key && suspect.due <= now);
        let is_passed = is_suspected && !drawn && !is_due() && !is_drawn(verify.millionths);
        let may_look = !is_passed && !std::mem::replace(&mut looks.is_looking, true);
        drop(sites);
        (0..forgotten).for_each(|_| self.record(Event::Checked(Checked::Inconclusive)));
        may_look.then(|| Turn { core: core.clone(), site, key, verify })
    }

    /// Whether this very value is still what a read finds, and nobody is about to replace it.
    async fn still_has(&self, expected: Expected, fill: FillId) -> Result<bool> {
        // What this process is still to evict is waited for.
        let Looked::Usable(usable) = self.look(expected).await? else { return Ok(false) };
        let is_leased = usable.header.is_leased(self.core.store.now());
        Ok(usable.age == Age::Fresh && usable.header.fill_id == fill && !is_leased)
    }
}

impl Turn {
    /// Whether the process may take one more look in this second.
    pub(crate) fn may_look(&self) -> bool {
        let clock = &self.core.settings.clock;
        if clock.is_manual() {
            self.core.verifying.pace.take(clock.now().millis())
        } else {
            Pace::of_process()
        }
    }

    /// Tells what a look at the value under `header` came to. Where it differed, that is looked into behind the caller.
    pub(crate) fn end(self, raw: &RawEntry, expected: Expected, header: &Header, compared: Compared) {
        let age = self.core.store.now().since(header.stored_at);
        let may_differ = self.verify.within.is_some_and(|within| age <= within);
        match compared {
            Compared::Unknown => raw.record(Event::Checked(Checked::Inconclusive)),
            Compared::Differs(paths) if !may_differ => {
                let (core, raw, fill) = (self.core.clone(), raw.clone(), header.fill_id);
                core.go_on(async move { self.judge(&raw, expected, fill, age, paths).await });
            }
            Compared::Same | Compared::Differs(_) => {
                self.forget(raw, header.fill_id, Checked::Consistent);
                raw.record(Event::Checked(Checked::Consistent));
            }
        }
    }

    async fn judge(
        self,
        raw: &RawEntry,
        expected: Expected,
        fill: FillId,
        age: Duration,
        paths: Vec<String>,
    ) {
        match raw.still_has(expected, fill).await {
            Err(_) => raw.record(Event::Checked(Checked::Inconclusive)),
            Ok(false) => {
                self.forget(raw, fill, Checked::Overtaken);
                raw.record(Event::Checked(Checked::Overtaken));
            }
            Ok(true) => {
                let Some((after, is_first)) = self.suspect(raw, fill) else { return };
                self.tell(raw, fill, age, after, paths, is_first);
                if self.verify.evicts {
                    let targets = Targets { keys: vec![raw.full.to_string()], ..Targets::default() };
                    // What failed is counted, kept, and sent again.
                    let _ = self.core.remove(targets.parts(), raw.counters(), Attempt::Final).await;
                    self.forget(raw, fill, Checked::Overtaken);
                }
            }
        }
    }

    /// Suspects this value. How long it has been suspected, and whether that was not known, where this confirms it.
    fn suspect(&self, raw: &RawEntry, fill: FillId) -> Option<(Duration, bool)> {
        let now = self.core.settings.clock.now();
        let (confirmed, dropped) = self.with_suspects(|suspects| {
            let is_gone = |suspect: &mut Suspect| suspect.key == self.key && suspect.fill != fill;
            let mut dropped: Vec<_> = suspects.extract_if(.., is_gone).collect();
            let Some(at) = suspects.iter().position(|suspect| suspect.key == self.key) else {
                if suspects.len() == MOST_SUSPECTS {
                    dropped.push(suspects.remove(0));
                }
                let due = now.plus(AGAIN[0]);
                suspects.push(Suspect { key: self.key, fill, since: now, due, confirmed: 0 });
                return (None, dropped);
            };
            let suspect = &mut suspects[at];
            if now < suspect.due {
                return (None, dropped);
            }
            suspect.confirmed += 1;
            let told = (now.since(suspect.since), suspect.confirmed == 1);
            match AGAIN.get(suspect.confirmed) {
                Some(again) => suspect.due = suspect.since.plus(*again).max(now.plus(AGAIN[0])),
                None => drop(suspects.remove(at)),
            }
            (Some(told), dropped)
        });
        for suspect in dropped.iter().filter(|suspect| suspect.confirmed == 0) {
            let is_other = suspect.key == self.key;
            raw.record(Event::Checked(if is_other { Checked::Overtaken } else { Checked::Inconclusive }));
        }
        confirmed
    }

    /// The entry is suspected no more. A value of before that was is counted as overtaken.
    fn forget(&self, raw: &RawEntry, fill: FillId, what: Checked) {
        if self.core.verifying.suspects.load(Ordering::Relaxed) == 0 {
            return;
        }
        let gone: Vec<_> = self
            .with_suspects(|suspects| suspects.extract_if(.., |suspect| suspect.key == self.key).collect());
        let unsaid = |suspect: &&Suspect| suspect.confirmed == 0 && suspect.fill != fill;
        if what == Checked::Consistent && gone.iter().any(|suspect| unsaid(&suspect)) {
            raw.record(Event::Checked(Checked::Overtaken));
        }
    }

    fn with_suspects<R>(&self, change: impl FnOnce(&mut Vec<Suspect>) -> R) -> R {
        let verifying = &self.core.verifying;
        let mut sites = lock(&verifying.sites);
        let looks = sites.entry(self.site).or_default();
        looks.asked = 0;
        let suspects = &mut looks.suspects;
        let before = suspects.len();
        let changed = change(suspects);
        let after = suspects.len();
        verifying.suspects.fetch_add(after, Ordering::Relaxed);
        verifying.suspects.fetch_sub(before, Ordering::Relaxed);
        changed
    }

    /// Keeps and logs what was found.
    fn tell(
        &self,
        raw: &RawEntry,
        fill: FillId,
        age: Duration,
        after: Duration,
        paths: Vec<String>,
        is_first: bool,
    ) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let finding = Finding {
            site: String::new(),
            key: format!("{:016x}", self.key),
            age_millis: millis(age),
            after_millis: millis(after),
            found_at: self.core.settings.clock.now().millis(),
            paths,
        };
        if is_first {
            raw.record(Event::Checked(Checked::Inconsistent));
            tracing::warn!(
                site = self.site.as_ref().map(ToString::to_string),
                key_hash = finding.key,
                age = ?age,
                after = ?after,
                differs = finding.paths.join(", "),
                "a cached value is not what its function returns"
            );
        }
        let mut findings = lock(&self.core.verifying.findings);
        findings.retain(|found| (found.site, found.fill) != (self.site, fill));
        if findings.len() == MOST_FINDINGS {
            findings.pop_front();
        }
        findings.push_back(Found { site: self.site, fill, finding });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_hits_is_drawn() {
        let drawn = |millionths| (0..10_000).filter(|_| is_drawn(millionths)).count();
        assert_eq!((drawn(0), drawn(Verify::ALL)), (0, 10_000));
        assert!((4_000..6_000).contains(&drawn(500_000)));
    }
}
