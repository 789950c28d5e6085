//! Who is told of changes on the nodes of a cluster, and how far telling has come.
//!
//! A copy is right as long as the node that its value came from is watched, since before it was asked (G3). So before anything is asked
//! of a node that is not watched, telling ends: the copies go, and none is taken or kept until it began anew.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use crate::ground::sync::lock;
use crate::store::contract::Listener;

/// All who are told of changes now.
#[derive(Default)]
pub(super) struct Watches {
    /// How many there are. A node that as many watch may be asked.
    count: AtomicUsize,
    each: Mutex<Vec<Arc<Watch>>>,
}

/// By how many a node is watched.
#[derive(Debug, Default)]
pub(super) struct Watched(AtomicUsize);

/// One who is told of changes on some nodes.
pub(super) struct Watch {
    nodes: Vec<Arc<Watched>>,
    listener: Arc<dyn Listener>,
    told: Mutex<Told>,
    pub(super) over: Notify,
}

struct Told {
    /// Until when each node has told what changed.
    until: Vec<Option<Instant>>,
    is_over: bool,
}

/// One node of a watch.
pub(super) struct Member {
    watch: Arc<Watch>,
    place: usize,
}

/// A watch, until dropped.
pub(super) struct Watching<'w> {
    watches: &'w Watches,
    pub(super) watch: Arc<Watch>,
}

impl Watches {
    /// To be called before anything is asked of this node.
    pub(super) fn ask(&self, node: &Arc<Watched>) {
        // One that begins later keeps nothing that was asked for by then.
        if node.0.load(Ordering::SeqCst) < self.count.load(Ordering::SeqCst) {
            for watch in lock(&self.each).iter().filter(|watch| !watch.has(node)) {
                watch.end();
            }
        }
    }

    /// This listener is to be told of changes on these nodes.
    pub(super) fn add(&self, nodes: Vec<Arc<Watched>>, listener: Arc<dyn Listener>) -> Watching<'_> {
        let told = Mutex::new(Told { until: vec![None; nodes.len()], is_over: false });
        let watch = Arc::new(Watch { nodes, listener, told, over: Notify::new() });
        let mut each = lock(&self.each);
        each.push(Arc::clone(&watch));
        // G3: at no time does a node seem to be watched by more than watch it.
        self.count.fetch_add(1, Ordering::SeqCst);
        for node in &watch.nodes {
            node.0.fetch_add(1, Ordering::SeqCst);
        }
        drop(each);
        Watching { watches: self, watch }
    }

    /// Those of the process that this one was forked from: nobody tells them anything here.
    pub(super) fn forget(&self) {
        let mut each = lock(&self.each);
        for watch in each.drain(..) {
            self.drop_of(&watch);
        }
    }

    fn drop_of(&self, watch: &Watch) {
        for node in &watch.nodes {
            node.0.fetch_sub(1, Ordering::SeqCst);
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let mut each = lock(&self.watches.each);
        if let Some(at) = each.iter().position(|watch| Arc::ptr_eq(watch, &self.watch)) {
            let watch = each.swap_remove(at);
            self.watches.drop_of(&watch);
        }
    }
}

impl Watch {
    fn has(&self, node: &Arc<Watched>) -> bool {
        self.nodes.iter().any(|watched| Arc::ptr_eq(watched, node))
    }

    /// Who tells what changes on one of the nodes.
    pub(super) fn member(self: &Arc<Self>, place: usize) -> Arc<dyn Listener> {
        Arc::new(Member { watch: Arc::clone(self), place })
    }

    /// All nodes tell of changes. Whether nothing was asked of another one since this was added.
    pub(super) fn begin(&self) -> bool {
        let is_over = lock(&self.told).is_over;
        if !is_over {
            // Drops copies, and so runs code of their types, which may come here again.
            self.listener.begins();
        }
        !is_over
    }

    /// This node has told what changed before then. Told is what all of them have.
    fn told(&self, place: usize, moment: Instant) {
        let mut told = lock(&self.told);
        told.until[place] = Some(moment);
        let least = told.until.iter().try_fold(moment, |least, until| Some(least.min((*until)?)));
        if let Some(least) = least.filter(|_| !told.is_over) {
            self.listener.told_until(least);
        }
    }

    fn end(&self) {
        let mut told = lock(&self.told);
        if !told.is_over {
            told.is_over = true;
            self.listener.ends();
            self.over.notify_one();
        }
    }
}

impl Listener for Member {
    /// Once all nodes do.
    fn begins(&self) {}

    fn changed(&self, key: &[u8]) {
        self.watch.listener.changed(key);
    }

    fn all_changed(&self) {
        self.watch.listener.all_changed();
    }

    fn told_until(&self, moment: Instant) {
        self.watch.told(self.place, moment);
    }

    fn ends(&self) {
        self.watch.end();
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>, Mutex<Option<Instant>>);

    impl Heard {
        fn hear(&self, what: &str) {
            lock(&self.0).push(what.to_owned());
        }
    }

    impl Listener for Heard {
        fn begins(&self) {
            self.hear("begins");
        }

        fn changed(&self, key: &[u8]) {
            self.hear(&String::from_utf8_lossy(key));
        }

        fn all_changed(&self) {
            self.hear("all");
        }

        fn told_until(&self, moment: Instant) {
            *lock(&self.1) = Some(moment);
        }

        fn ends(&self) {
            self.hear("ends");
        }
    }

    /// Upholds G3.
    #[test]
    fn told_is_what_all_nodes_have_told() {
        let (watches, heard) = (Watches::default(), Arc::new(Heard::default()));
        let watching = watches.add(vec![Arc::default(), Arc::default()], Arc::clone(&heard) as _);
        let (one, other) = (watching.watch.member(0), watching.watch.member(1));
        one.begins();
        assert!(lock(&heard.0).is_empty(), "the other one does not tell yet");
        assert!(watching.watch.begin());
        let now = Instant::now();
        let (early, late) = (now, now + Duration::from_secs(1));
        one.told_until(late);
        assert_eq!(*lock(&heard.1), None);
        other.told_until(early);
        assert_eq!(*lock(&heard.1), Some(early));
        one.told_until(late + Duration::from_secs(1));
        assert_eq!(*lock(&heard.1), Some(early));
        other.changed(b"a");
        one.all_changed();
        assert_eq!(*lock(&heard.0), ["begins", "a", "all"]);
    }

    #[test]
    fn who_is_forgotten_counts_no_more() {
        let (watches, heard) = (Watches::default(), Arc::new(Heard::default()));
        let (node, other) = (Arc::<Watched>::default(), Arc::<Watched>::default());
        let inherited = watches.add(vec![Arc::clone(&node)], Arc::clone(&heard) as _);
        watches.forget();
        let count = |watches: &Watches| watches.count.load(Ordering::SeqCst);
        assert_eq!((count(&watches), node.0.load(Ordering::SeqCst)), (0, 0));
        watches.ask(&other);
        assert!(lock(&heard.0).is_empty());
        drop(inherited);
        assert_eq!((count(&watches), node.0.load(Ordering::SeqCst)), (0, 0));
    }

    /// Upholds G3.
    #[test]
    fn nothing_is_asked_of_a_node_that_is_not_watched_before_telling_has_ended() {
        let (watches, heard) = (Watches::default(), Arc::new(Heard::default()));
        let (watched, other) = (Arc::<Watched>::default(), Arc::<Watched>::default());
        watches.ask(&other);
        let watching = watches.add(vec![Arc::clone(&watched)], Arc::clone(&heard) as _);
        assert!(watching.watch.begin());
        watches.ask(&watched);
        assert_eq!(*lock(&heard.0), ["begins"]);
        watches.ask(&other);
        watches.ask(&other);
        assert_eq!(*lock(&heard.0), ["begins", "ends"]);
        watching.watch.member(0).told_until(Instant::now());
        assert_eq!(*lock(&heard.1), None, "it stays so");
        assert!(!watching.watch.begin());
        drop(watching);
        let again = watches.add(vec![watched, Arc::clone(&other)], Arc::clone(&heard) as _);
        watches.ask(&other);
        assert!(again.watch.begin(), "both are watched");
    }
}
