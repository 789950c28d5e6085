//! Evicts that the store did not acknowledge: kept until it does, each name once. Data, no deeds.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use crate::engine::targets::Targets;
use crate::format::stamps::TagKeys;
use crate::ground::sync::modelled::{AtomicBool, AtomicU64, AtomicUsize, Mutex, lock};

/// How many names are kept. More than that become one: the whole namespace.
pub(super) const MOST_KEPT: usize = 10_000;

/// What is to be evicted again, of one namespace of one store.
pub(crate) struct Kept {
    names: Mutex<Names>,
    /// How many there are: none is the usual case.
    count: AtomicUsize,
    /// How often none was left.
    deliveries: AtomicU64,
    /// Held by who sends them.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Whether a task sends them as soon as it can.
    is_sent: AtomicBool,
    /// Wakes that task.
    pub(super) wake: Notify,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            names: Mutex::new(Names::default()),
            count: AtomicUsize::new(0),
            deliveries: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            is_sent: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }
}

/// Each name with the number of the latest evict of it.
#[derive(Default)]
struct Names {
    latest: u64,
    keys: HashMap<String, u64>,
    tags: HashMap<String, (TagKeys, u64)>,
    prefixes: HashMap<String, u64>,
    /// Everything, because there were too many: by the latest evict.
    all: Option<u64>,
}

/// What was kept at some moment.
pub(super) struct Snapshot {
    pub(super) targets: Targets,
    /// Everything is to go.
    pub(super) all: bool,
    /// The number of the latest.
    pub(super) latest: u64,
}

impl Kept {
    /// Keeps what was not acknowledged. An evict of a name that is kept takes its place: it was sent later.
    pub(super) fn add(&self, failed: impl IntoIterator<Item = Targets>) {
        let mut names = lock(&self.names);
        names.latest += 1;
        let at = names.latest;
        for Targets { keys, tags, prefixes } in failed {
            names.keys.extend(keys.into_iter().map(|key| (key, at)));
            names.prefixes.extend(prefixes.into_iter().map(|prefix| (prefix, at)));
            names.tags.extend(tags.into_iter().map(|tag| (tag.tag.text.clone(), (tag, at))));
            if names.all.is_some() || names.len() > MOST_KEPT {
                *names = Names { latest: at, all: Some(at), ..Names::default() };
            }
        }
        self.count.store(names.len(), Ordering::SeqCst);
    }

    /// How many names are kept; one where everything is.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether whoever asks is to send what is kept as soon as it can: nobody else does.
    pub(super) fn begins_to_send(&self) -> bool {
        !self.is_sent.swap(true, Ordering::SeqCst)
    }

    /// Nobody sends what is kept any more. Who stops because there is nothing looks once more whether something came meanwhile.
    pub(super) fn stops_sending(&self) {
        // Read as well as written: who found that somebody sends had kept something before, which is seen from here on.
        self.is_sent.swap(false, Ordering::SeqCst);
    }

    /// How often all that was kept had reached the store.
    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::SeqCst)
    }

    /// Whether everything is to go, because too many were kept.
    pub(crate) fn is_all(&self) -> bool {
        self.count() > 0 && lock(&self.names).all.is_some()
    }

    /// Whether one of these keys may be what is to be evicted. Which tags an entry carries is not known before it is read.
    pub(super) fn concerns(&self, keys: &[&str]) -> bool {
        if self.count() == 0 {
            return false;
        }
        let names = lock(&self.names);
        let is_named = |key: &&str| {
            names.keys.contains_key(*key) || names.prefixes.keys().any(|prefix| key.starts_with(prefix))
        };
        names.all.is_some() || !names.tags.is_empty() || keys.iter().any(is_named)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let names = lock(&self.names);
        let targets = Targets {
            keys: names.keys.keys().cloned().collect(),
            tags: names.tags.values().map(|(tag, _)| tag.clone()).collect(),
            prefixes: names.prefixes.keys().cloned().collect(),
        };
        Snapshot { targets, all: names.all.is_some(), latest: names.latest }
    }

    /// What is kept, and whether everything is to go.
    pub(crate) fn names(&self) -> (Targets, bool) {
        let Snapshot { targets, all, .. } = self.snapshot();
        (targets, all)
    }

    /// The number of the latest evict that is kept; zero where none is.
    pub(crate) fn latest(&self) -> u64 {
        if self.count() == 0 { 0 } else { lock(&self.names).latest }
    }

    /// An evict of these was acknowledged that was sent when this was the latest that was kept. What was kept since stays: it
    /// may be of something newer. Tells how many names went.
    pub(crate) fn acknowledge(&self, done: &Targets, latest: u64) -> usize {
        if latest == 0 {
            return 0;
        }
        let mut names = lock(&self.names);
        let before = names.len();
        for key in &done.keys {
            if names.keys.get(key).is_some_and(|at| *at <= latest) {
                names.keys.remove(key);
            }
        }
        for tag in &done.tags {
            let text: &str = &tag.tag.text;
            if names.tags.get(text).is_some_and(|(_, at)| *at <= latest) {
                names.tags.remove(text);
            }
        }
        for prefix in &done.prefixes {
            names.prefixes.retain(|name, at| *at > latest || !name.starts_with(prefix.as_str()));
            names.keys.retain(|name, at| *at > latest || !name.starts_with(prefix.as_str()));
        }
        self.went(&names, before)
    }

    /// The namespace was cleared by evicts that were sent when this was the latest that was kept. Tells how many names went.
    pub(super) fn cleared(&self, latest: u64) -> usize {
        let mut names = lock(&self.names);
        let before = names.len();
        names.all = names.all.filter(|at| *at > latest);
        self.went(&names, before)
    }

    fn went(&self, names: &Names, before: usize) -> usize {
        let left = names.len();
        self.count.store(left, Ordering::SeqCst);
        if before > 0 && left == 0 {
            self.deliveries.fetch_add(1, Ordering::SeqCst);
        }
        before - left
    }
}

impl Names {
    fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.prefixes.len() + usize::from(self.all.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::stamps::tag_keys;

    fn keys(names: &[&str]) -> Targets {
        Targets { keys: names.iter().map(|name| (*name).to_owned()).collect(), ..Targets::default() }
    }

    fn named(kept: &Kept) -> Vec<String> {
        let mut keys = kept.snapshot().targets.keys;
        keys.sort_unstable();
        keys
    }

    #[test]
    fn each_name_is_kept_once() {
        let kept = Kept::default();
        for _ in 0..3 {
            let tags = vec![tag_keys("shop", "users")];
            kept.add([Targets { tags, prefixes: vec!["page:".into()], ..keys(&["a", "b"]) }]);
        }
        assert_eq!(kept.count(), 4);
        assert!(kept.concerns(&["x"]), "it may carry the tag");
    }

    #[test]
    fn what_is_kept_concerns_its_keys_and_those_under_its_prefixes() {
        let kept = Kept::default();
        assert!(!kept.concerns(&["a"]));
        kept.add([Targets { prefixes: vec!["page:".into()], ..keys(&["a"]) }]);
        assert!(kept.concerns(&["b", "a"]) && kept.concerns(&["page:7"]));
        assert!(!kept.concerns(&["b", "pages:7"]));
    }

    /// Upholds G7.
    #[test]
    fn what_was_evicted_again_since_it_was_sent_stays() {
        let kept = Kept::default();
        kept.add([keys(&["a", "b"])]);
        let sent = kept.snapshot();
        kept.add([keys(&["b", "c"])]);
        assert_eq!(kept.acknowledge(&sent.targets, sent.latest), 1);
        assert_eq!(named(&kept), ["b", "c"]);
        assert_eq!(kept.acknowledge(&keys(&["b", "x"]), kept.latest()), 1);
        assert_eq!(named(&kept), ["c"]);
    }

    #[test]
    fn an_evict_of_a_prefix_is_one_of_what_is_under_it() {
        let kept = Kept::default();
        kept.add([Targets { prefixes: vec!["page:7:".into()], ..keys(&["page:1", "pages:1"]) }]);
        let pages = Targets { prefixes: vec!["page:".into()], ..Targets::default() };
        assert_eq!(kept.acknowledge(&pages, kept.latest()), 2);
        assert_eq!(named(&kept), ["pages:1"]);
    }

    /// Upholds G7.
    #[test]
    fn too_many_become_everything_which_stays_until_the_namespace_was_cleared() {
        let kept = Kept::default();
        let many: Vec<String> = (0..MOST_KEPT).map(|number| number.to_string()).collect();
        kept.add([Targets { keys: many, ..Targets::default() }]);
        assert!(!kept.is_all() && kept.count() == MOST_KEPT);
        let former = kept.snapshot();
        kept.add([keys(&["one more"])]);
        assert!(kept.is_all() && kept.count() == 1 && kept.concerns(&["anything"]));
        assert_eq!(kept.acknowledge(&former.targets, kept.latest()), 0, "that was not all");
        let latest = kept.latest();
        kept.add([keys(&["later"])]);
        assert_eq!(kept.cleared(latest), 0, "one came since");
        assert_eq!(kept.cleared(kept.latest()), 1);
        assert!(!kept.concerns(&["anything"]));
    }
}
