//! The names of tags, for tools: entries carry hashes of them. Off by default, because a name may say who somebody is.
//!
//! A name is told when a version of its tag was made, or is seen for the first time, so a tag costs the server something once for each
//! version and process. Where names are kept, each tag of a call that writes its key is looked up in a map under one lock.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;

use crate::format::ids::Version;
use crate::format::stamps::{VersionKey, tag_keys};
use crate::ground::sync::lock;

/// The longest name that is told, in bytes.
const LONGEST: usize = 512;

/// What is known of names.
#[derive(Debug, Default)]
pub(crate) struct TagNames(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By the hashes of the tags, with the version that was captured last.
    names: HashMap<u64, (Box<str>, Option<Version>)>,
    /// The same hashes, the oldest first.
    order: VecDeque<u64>,
    /// Those that are to be told.
    untold: HashSet<u64>,
}

// Names may be secrets.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

impl TagNames {
    /// The tag of this hash is called so. Of more than `most` the oldest is forgotten.
    pub(crate) fn called(&self, hash: u64, name: &str, most: usize) {
        if name.len() > LONGEST {
            return;
        }
        let mut known = lock(&self.0);
        if known.names.contains_key(&hash) {
            return;
        }
        if known.names.len() >= most
            && let Some(oldest) = known.order.pop_front()
        {
            known.names.remove(&oldest);
            known.untold.remove(&oldest);
        }
        known.names.insert(hash, (name.into(), None));
        known.order.push_back(hash);
    }

    /// These versions were captured.
    pub(crate) fn captured(&self, keys: &[VersionKey], versions: &[Version]) {
        let mut known = lock(&self.0);
        let Known { names, untold, .. } = &mut *known;
        for (key, version) in keys.iter().zip(versions) {
            if let Some((_, last)) = names.get_mut(&key.hash)
                && last.replace(*version) != Some(*version)
            {
                untold.insert(key.hash);
            }
        }
    }

    /// Some of those that are to be told, so many at most, which are so no more.
    pub(crate) fn take(&self, most: usize) -> Vec<String> {
        let mut known = lock(&self.0);
        let taken: Vec<u64> = known.untold.iter().copied().take(most).collect();
        for hash in &taken {
            known.untold.remove(hash);
        }
        taken.iter().filter_map(|hash| known.names.get(hash)).map(|(name, _)| (**name).to_owned()).collect()
    }

    /// These could not be told.
    pub(crate) fn give_back(&self, names: &[String]) {
        let mut known = lock(&self.0);
        let hashes = names.iter().map(|name| tag_keys("", name).tag.hash);
        let again: Vec<u64> = hashes.filter(|hash| known.names.contains_key(hash)).collect();
        known.untold.extend(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> Version {
        Version::new(number)
    }

    #[test]
    fn a_name_is_told_once_for_each_version_of_its_tag() {
        let names = TagNames::default();
        let key = |name: &str| tag_keys("shop", name).tag;
        names.called(key("users").hash, "users", 10);
        assert!(names.take(9).is_empty(), "no version was made");
        let capture = |name: &str, number| names.captured(&[key(name)], &[version(number)]);
        capture("users", 1);
        capture("nameless", 1);
        assert_eq!(names.take(9), ["users"]);
        capture("users", 1);
        assert!(names.take(9).is_empty());
        capture("users", 2);
        let told = names.take(9);
        assert_eq!(told, ["users"]);
        names.give_back(&told);
        assert_eq!(names.take(9), ["users"], "it could not be told");
    }

    #[test]
    fn only_so_many_names_are_known_and_none_is_long() {
        let names = TagNames::default();
        for n in 0..100 {
            let name = format!("t{n}");
            let key = tag_keys("", &name).tag;
            names.called(key.hash, &name, 10);
            names.captured(&[key], &[version(7)]);
        }
        names.called(7, &"x".repeat(LONGEST + 1), 10);
        let mut told = names.take(9);
        assert_eq!(told.len(), 9, "and one with the next report");
        told.extend(names.take(9));
        told.sort();
        assert_eq!(told.len(), 10);
        assert!(told.contains(&"t99".to_owned()) && !format!("{names:?}").contains("t99"));
    }
}
