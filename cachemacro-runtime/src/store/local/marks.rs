//! Tags as flags that values share: a value asks its tags' flags whether they were evicted.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;

use crate::ground::sync::modelled::{AtomicBool, AtomicU64, Mutex, lock};

/// How many tags are remembered before those that nobody carries any more are looked for.
const FEW: usize = 1_024;

/// Whether a tag was not evicted since someone asked for it.
#[derive(Debug)]
pub(super) struct Mark {
    tag: u64,
    holds: AtomicBool,
}

impl Mark {
    #[inline]
    pub(super) fn holds(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }

    pub(super) const fn tag(&self) -> u64 {
        self.tag
    }
}

/// The marks of values that have the same tags.
#[derive(Debug)]
pub(super) struct Marked {
    marks: Box<[Arc<Mark>]>,
    /// When they were seen to hold last.
    epoch: AtomicU64,
}

impl Marked {
    /// Whether none of the tags was evicted. `epoch` is raised whenever a mark has ended.
    #[inline]
    pub(super) fn hold(&self, epoch: &AtomicU64) -> bool {
        // Marks end before the epoch is raised: what holds after this reading held at it.
        let now = epoch.load(Ordering::Acquire);
        self.epoch.load(Ordering::Relaxed) == now || self.hold_still(now)
    }

    #[cold]
    fn hold_still(&self, now: u64) -> bool {
        let hold = self.marks.iter().all(|mark| mark.holds());
        if hold {
            self.epoch.store(now, Ordering::Relaxed);
        }
        hold
    }

    pub(super) fn has(&self, tag: u64) -> bool {
        self.marks.iter().any(|mark| mark.tag() == tag)
    }

    fn are(&self, marks: &[&Arc<Mark>]) -> bool {
        self.marks.len() == marks.len()
            && self.marks.iter().zip(marks).all(|(own, mark)| Arc::ptr_eq(own, mark))
    }
}

/// How many sets of marks are remembered, so that values which have the same tags share one.
const SETS: usize = 16;

/// In how many places evicts of tags are counted. loom explores one.
const BUCKETS: usize = if cfg!(all(test, loom)) { 1 } else { 64 };

/// How often tags of each bucket were evicted, at some time.
pub(super) type Seen = Box<[u64; BUCKETS]>;

/// The tags that someone carries, by hash: two tags of one hash, and an evict of one takes the other along.
#[derive(Debug)]
pub(super) struct Marks {
    known: Mutex<Known>,
    /// Evicts of tags by bucket, whether someone carried them or not.
    evicts: [AtomicU64; BUCKETS],
}

impl Default for Marks {
    fn default() -> Self {
        Self { known: Mutex::default(), evicts: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

const fn bucket(tag: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "what is left of it is small")]
    let bucket = (tag % BUCKETS as u64) as usize;
    bucket
}

#[derive(Debug, Default)]
struct Known {
    marks: HashMap<u64, Weak<Mark>, RandomState>,
    /// How many there may be before the unused are looked for.
    most: usize,
    /// The last few sets.
    sets: VecDeque<Weak<Marked>>,
}

impl Marks {
    /// The mark of a tag, from now on.
    pub(super) fn get(&self, tag: u64) -> Arc<Mark> {
        let mut known = lock(&self.known);
        if let Some(mark) = known.marks.get(&tag).and_then(Weak::upgrade) {
            return mark;
        }
        if known.marks.len() >= known.most.max(FEW) {
            known.marks.retain(|_, mark| mark.strong_count() > 0);
            known.most = 2 * known.marks.len();
        }
        let mark = Arc::new(Mark { tag, holds: AtomicBool::new(true) });
        known.marks.insert(tag, Arc::downgrade(&mark));
        mark
    }

    /// These marks as what a value has; `None` where there are none. `epoch`: one that was read before they are asked whether they hold.
    pub(super) fn set(&self, marks: &[&Arc<Mark>], epoch: u64) -> Option<Arc<Marked>> {
        if marks.is_empty() {
            return None;
        }
        let sets = &mut lock(&self.known).sets;
        let shared = sets.iter().filter_map(Weak::upgrade).find(|set| set.are(marks));
        shared.or_else(|| {
            let marks = marks.iter().map(|mark| Arc::clone(mark)).collect();
            let set = Arc::new(Marked { marks, epoch: AtomicU64::new(epoch) });
            sets.truncate(SETS - 1);
            sets.push_front(Arc::downgrade(&set));
            Some(set)
        })
    }

    /// Ends the mark of a tag; false where nobody carries it.
    pub(super) fn end(&self, tag: u64) -> bool {
        // Before the mark is looked for: who asks for one after that sees it counted.
        self.evicts[bucket(tag)].fetch_add(1, Ordering::AcqRel);
        let mark = lock(&self.known).marks.remove(&tag).and_then(|mark| mark.upgrade());
        if let Some(mark) = &mark {
            mark.holds.store(false, Ordering::Release);
        }
        mark.is_some()
    }

    /// The numbers of evicts so far.
    pub(super) fn seen(&self) -> Seen {
        Box::new(std::array::from_fn(|at| self.evicts[at].load(Ordering::Acquire)))
    }

    /// Whether this tag was not evicted since that was seen, nor another of its bucket.
    pub(super) fn is_unmoved(&self, tag: u64, seen: &Seen) -> bool {
        let at = bucket(tag);
        self.evicts[at].load(Ordering::Acquire) == seen[at]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.known).marks.len()
    }
}
