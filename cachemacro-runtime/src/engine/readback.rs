//! Whether what is stored comes back. What a codec wrote is decoded before it is stored: the first value of each place,
//! type and codec, and more where there is a reason to doubt. What cannot be decoded is not stored, for it would be
//! loaded, stored and missed again by every call.
//!
//! | what is known | what is read back |
//! |---|---|
//! | nothing yet | the first value |
//! | the type asks for any value, and the codec is not self-describing | each value |
//! | a part of the type could not be seen | the first 16 |
//! | a read found a value that could not be decoded | the next 64 |
//! | the value leaves out a field that none has left out so far | this value |
//!
//! Where the first value does not come back, the place is given up: it stores no more of this type for the life of the
//! process. Where others did, only those that do not are left out.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use foldhash::fast::RandomState;

use crate::format::codec::Skipped;
use crate::ground::sync::{lock, read, write};
use crate::ground::unstorable::Unstorable;
use crate::observe::site::SiteId;
use crate::observe::warning::Warning;

/// How many values of a type are read back, a part of which could not be seen.
const UNSEEN: u32 = 16;
/// How many values are read back after one in the store could not be decoded.
const DOUBTED: u32 = 64;

/// Which values are known, or not, to come back: of all places of one cache.
#[derive(Default)]
pub(crate) struct Readbacks(RwLock<HashMap<Of, Arc<Readback>, RandomState>>);

/// Values of one type, from one function or by hand, under one codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Of {
    /// `None`: by hand.
    pub(crate) site: Option<SiteId>,
    pub(crate) value: TypeId,
    pub(crate) codec: u8,
    /// Errors that the place stores, not values.
    pub(crate) is_error: bool,
}

/// What is told of them.
#[derive(Debug)]
pub(crate) struct Named {
    /// The function, or the prefix of the first key.
    pub(crate) place: String,
    pub(crate) value: &'static str,
    pub(crate) codec: &'static str,
}

/// Why values of a type are read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The first one is, whatever the type.
    None,
    /// A part of it could not be seen.
    Unseen,
    /// Whether it comes back depends on the value.
    Each,
}

/// What is known of them.
#[derive(Debug)]
pub(crate) struct Readback {
    named: Named,
    each: bool,
    /// How many of the next values are read back.
    left: AtomicU32,
    came_back: AtomicBool,
    given_up: AtomicBool,
    /// Fields without which values came back.
    spared: Mutex<Vec<Skipped>>,
    refused: [AtomicU64; Unstorable::ALL.len()],
}

impl Readbacks {
    /// What is known of these values.
    pub(crate) fn of(&self, of: Of, new: impl FnOnce() -> (Named, Doubt)) -> Arc<Readback> {
        if let Some(known) = read(&self.0).get(&of) {
            return known.clone();
        }
        // Not under the lock: the type may have to be walked.
        let (named, doubt) = new();
        let readback = Arc::new(Readback::new(named, doubt));
        write(&self.0).entry(of).or_insert(readback).clone()
    }

    /// One for each place, type, codec and reason.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let mut warnings: Vec<Warning> = read(&self.0).values().flat_map(|known| known.warnings()).collect();
        warnings.sort_unstable_by_key(ToString::to_string);
        warnings
    }
}

impl Readback {
    fn new(named: Named, doubt: Doubt) -> Self {
        Self {
            named,
            each: doubt == Doubt::Each,
            left: AtomicU32::new(if doubt == Doubt::Unseen { UNSEEN } else { 1 }),
            came_back: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            spared: Mutex::default(),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Whether no value is stored any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Whether a value that left out these fields is read back before it is stored.
    pub(crate) fn wants(&self, skipped: &[Skipped]) -> bool {
        self.each || self.left.load(Ordering::Relaxed) > 0 || {
            let unknown = |spared: &Vec<Skipped>| skipped.iter().any(|field| !spared.contains(field));
            !skipped.is_empty() && unknown(&lock(&self.spared))
        }
    }

    /// A value without these fields was read back.
    pub(crate) fn came_back(&self, skipped: Vec<Skipped>) {
        self.came_back.store(true, Ordering::Relaxed);
        // Fails where there is none left.
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if !skipped.is_empty() {
            let mut spared = lock(&self.spared);
            for field in skipped {
                if !spared.contains(&field) {
                    spared.push(field);
                }
            }
        }
    }

    /// A value could not be read back.
    pub(crate) fn failed(&self) {
        if !self.came_back.load(Ordering::Relaxed) {
            self.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// A read found a value of this very type and codec that could not be decoded.
    pub(crate) fn doubt(&self) {
        self.left.fetch_max(DOUBTED, Ordering::Relaxed);
    }

    /// Counts a value that is not stored, and tells of the first for each reason.
    pub(crate) fn refuse(&self, why: Unstorable) {
        if self.refused[why.index()].fetch_add(1, Ordering::Relaxed) == 0 {
            let Named { place, value, codec } = &self.named;
            let remedy = why.remedy();
            tracing::warn!(
                place, value, codec, %why, remedy, "a value is returned and not stored: it would not come back as it is"
            );
        }
    }

    fn warnings(&self) -> impl Iterator<Item = Warning> + '_ {
        Unstorable::ALL.iter().filter_map(|&why| {
            let count = self.refused[why.index()].load(Ordering::Relaxed);
            let Named { place, value, codec } = &self.named;
            let place = place.clone();
            (count > 0).then_some(Warning::Unstorable { place, value, codec, why, count })
        })
    }
}
