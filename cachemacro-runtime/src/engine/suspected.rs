//! What is known of hits that were held against what their functions return. Data; [`verifying`](crate::engine::verifying) has the deeds.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::format::ids::FillId;
use crate::ground::clock::Timestamp;
use crate::ground::sync::lock;
use crate::observe::finding::Finding;
use crate::observe::site::SiteId;
use crate::store::Placed;

/// How long after its first difference a value is looked at again.
pub(crate) const AGAIN: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// How long a suspected value that nobody asks for is remembered beyond that.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(5 * 60);
/// How many calls of a site ask the store, one after the other, for a suspected value that is to be looked at: they may be about others.
pub(crate) const ASKED_AT_ONCE: u32 = 64;
/// Of how many more one does.
pub(crate) const ASKED_ONE_IN: u32 = 16;
/// How many values of a site are suspected at once.
pub(crate) const MOST_SUSPECTS: usize = 32;
/// How many findings are kept.
pub(crate) const MOST_FINDINGS: usize = 32;
/// How many looks a process takes in a second.
pub(crate) const MOST_PER_SECOND: usize = 5;

/// What is known of the looks of one cache.
#[derive(Debug, Default)]
pub(crate) struct Verifying {
    pub(crate) sites: Mutex<HashMap<Option<SiteId>, Looks>>,
    /// How many values are suspected at all sites: none is the usual case.
    pub(crate) suspects: AtomicUsize,
    pub(crate) findings: Mutex<VecDeque<Found>>,
    /// Of a cache whose clock tests move.
    pub(crate) pace: Pace,
}

/// What is known of the looks at one site.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    pub(crate) is_looking: bool,
    pub(crate) suspects: Vec<Suspect>,
    /// How many calls asked the store since a value was to be looked at again, that one or others.
    pub(crate) asked: u32,
}

impl Looks {
    /// Whether a value is to be looked at again, so that this call asks the store for its own, instead of taking a decoded one: whose it is
    /// shows only there. Most do at first, and few once that has not helped.
    pub(crate) fn asks(&mut self, now: Timestamp) -> bool {
        if !self.suspects.iter().any(|suspect| suspect.due <= now) {
            return false;
        }
        self.asked = self.asked.saturating_add(1);
        self.asked <= ASKED_AT_ONCE || self.asked.is_multiple_of(ASKED_ONE_IN)
    }

    /// Takes out what nobody has asked for in a long time.
    pub(crate) fn forgotten(&mut self, now: Timestamp) -> Vec<Suspect> {
        self.suspects.extract_if(.., |suspect| suspect.due.plus(FORGOTTEN) < now).collect()
    }
}

/// A value that differed.
#[derive(Debug, Clone)]
pub(crate) struct Suspect {
    pub(crate) key: u64,
    pub(crate) fill: FillId,
    pub(crate) since: Timestamp,
    pub(crate) due: Timestamp,
    /// How often that was confirmed.
    pub(crate) confirmed: usize,
}

#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) site: Option<SiteId>,
    pub(crate) fill: FillId,
    pub(crate) finding: Finding,
}

/// The times of the last looks, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<VecDeque<u64>>);

impl Pace {
    pub(crate) fn take(&self, now: u64) -> bool {
        let mut last = lock(&self.0);
        last.retain(|then| now.saturating_sub(*then) < 1_000);
        let may = last.len() < MOST_PER_SECOND;
        if may {
            last.push_back(now);
        }
        may
    }

    /// The one of this process.
    pub(crate) fn of_process() -> bool {
        static PACE: Pace = Pace(Mutex::new(VecDeque::new()));
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        let now = BEGAN.get_or_init(Instant::now).elapsed().as_millis();
        PACE.take(u64::try_from(now).unwrap_or(u64::MAX))
    }
}

/// How a call of a function that has decoded values goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It takes one.
    Short,
    /// It asks the store.
    Whole,
    /// It asks the store, and its hit is looked at.
    Checked,
    /// It asks the store, and its key is counted.
    Counted,
}

/// What a call that took no decoded value is sent on with.
#[derive(Debug)]
pub(crate) enum Sent {
    /// Its hit is to be looked at.
    Checked,
    /// Its key is to be counted.
    Counted,
    /// What it returns is to be kept under these arguments.
    Placed(Placed),
}

impl Sent {
    pub(crate) fn placed(self) -> Option<Placed> {
        match self {
            Self::Placed(placed) => Some(placed),
            Self::Checked | Self::Counted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_five_looks_in_a_second() {
        let pace = Pace::default();
        let taken = |from: u64| (from..from + 10).filter(|now| pace.take(*now)).count();
        assert_eq!((taken(0), taken(900), taken(1_000), taken(1_500)), (5, 0, 5, 0));
    }
}
