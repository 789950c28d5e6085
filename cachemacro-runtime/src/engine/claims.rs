//! Which keys each annotated function makes, so that two functions are not handed each other's values.
//!
//! Functions of one name in two blocks of one function have one path, so their default prefixes are equal. Two that are given one
//! prefix and keys of one form, and return different types, replace each other's entries. The second one to be called is found
//! here; it runs uncached, because no key of its own would be the same in a process that calls the two in the other order, and
//! then neither values nor evicts would reach each other. To share a prefix for values of one type is what users may want.
//!
//! A function with type parameters makes other keys with other types, so each of its instances claims for itself. What was found of
//! an instance is looked up at each of its calls, under a lock for reading; a function without types remembers it itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, RwLock};

use crate::ground::sync::{self, lock};
use crate::observe::site::SiteId;

/// What the functions of a cache claimed.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    state: Mutex<State>,
    /// Whether the keys that begin so are another function's, by function.
    instances: RwLock<HashMap<SiteId, HashMap<Box<str>, bool>>>,
}

/// How many instances of one function claim: a prefix that is an argument would make any number of them.
const MOST_INSTANCES: usize = 1024;

#[derive(Debug, Default)]
struct State {
    owners: HashMap<String, (SiteId, Claim)>,
    clashes: Vec<SiteId>,
}

/// What a function claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    /// All keys that begin so: its default prefix.
    Prefix(String),
    /// All keys that begin so and have this form, for values of the type with this fingerprint.
    Form(String, &'static str, u64),
}

impl Claim {
    fn name(&self) -> String {
        match self {
            Self::Prefix(prefix) => prefix.clone(),
            Self::Form(prefix, form, _) => format!("{prefix}{form}"),
        }
    }
}

impl Claims {
    /// Claims for this site. `Err`: what another site claimed before, which is it.
    pub(crate) fn claim(&self, site: SiteId, claim: Claim) -> Result<(), SiteId> {
        let mut state = lock(&self.state);
        let owner = match state.owners.entry(claim.name()) {
            Entry::Vacant(vacant) => {
                vacant.insert((site, claim));
                return Ok(());
            }
            Entry::Occupied(owner) => owner.get().clone(),
        };
        let shares = matches!(&claim, Claim::Form(..)) && owner.1 == claim;
        if owner.0 == site || shares {
            return Ok(());
        }
        if !state.clashes.contains(&site) {
            state.clashes.push(site);
        }
        Err(owner.0)
    }

    /// What was found of the instance of a function whose keys begin so.
    pub(crate) fn of_instance(&self, site: SiteId, begin: &str) -> Option<bool> {
        sync::read(&self.instances).get(&site)?.get(begin).copied()
    }

    /// Whether so many instances of a function have claimed that no more are looked at.
    pub(crate) fn is_full(&self, site: SiteId) -> bool {
        sync::read(&self.instances).get(&site).is_some_and(|known| known.len() >= MOST_INSTANCES)
    }

    /// Keeps what was found of an instance. Tells whether it is the first answer.
    pub(crate) fn set_instance(&self, site: SiteId, begin: &str, clashes: bool) -> bool {
        let mut instances = sync::write(&self.instances);
        let of_site = instances.entry(site).or_default();
        of_site.len() < MOST_INSTANCES && of_site.insert(begin.into(), clashes).is_none()
    }

    /// The sites that run uncached.
    pub(crate) fn clashes(&self) -> Vec<SiteId> {
        lock(&self.state).clashes.clone()
    }
}
