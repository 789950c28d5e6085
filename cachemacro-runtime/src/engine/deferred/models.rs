//! What is kept under [loom](https://docs.rs/loom), which plays every order of its threads' steps: run by `scripts/loom`. Orders of whole
//! evicts are in `orders`. Which mechanism each model is there for:
//!
//! | mechanism | model |
//! |---|---|
//! | how many there are is set under the lock | `how_many_are_kept_is_how_many_there_are` |
//! | an acknowledgement ends only what was kept before it was sent | `what_is_kept_while_a_snapshot_is_sent_stays` |
//! | who sends looks once more after it has stopped | `what_is_kept_is_sent_by_somebody` |

use std::sync::Arc;

use loom::thread;

use super::kept::Kept;
use crate::engine::targets::Targets;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn key(name: &str) -> Targets {
    Targets { keys: vec![name.to_owned()], ..Targets::default() }
}

/// Sends what is kept once, and has the store acknowledge it.
fn send(kept: &Kept) {
    let sent = kept.snapshot();
    kept.acknowledge(&sent.targets, sent.latest);
}

#[test]
fn how_many_are_kept_is_how_many_there_are() {
    explore(|| {
        let kept = Arc::new(Kept::default());
        kept.add([key("a")]);
        let adds = kept.clone();
        let adds = thread::spawn(move || adds.add([key("b")]));
        send(&kept);
        adds.join().expect("it ends");
        assert_eq!(kept.count(), kept.names().0.keys.len());
    });
}

/// Upholds G7.
#[test]
fn what_is_kept_while_a_snapshot_is_sent_stays() {
    explore(|| {
        let kept = Arc::new(Kept::default());
        kept.add([key("a")]);
        let sent = kept.snapshot();
        let adds = kept.clone();
        // The row changed once more, and its evict failed.
        let adds = thread::spawn(move || adds.add([key("a")]));
        kept.acknowledge(&sent.targets, sent.latest);
        adds.join().expect("it ends");
        assert!(kept.concerns(&["a"]), "it is not served");
    });
}

/// Upholds G7.
#[test]
fn what_is_kept_is_sent_by_somebody() {
    explore(|| {
        let kept = Arc::new(Kept::default());
        kept.add([key("a")]);
        assert!(kept.begins_to_send(), "nobody does");
        let adds = kept.clone();
        let adds = thread::spawn(move || {
            adds.add([key("b")]);
            adds.begins_to_send()
        });
        send(&kept);
        // As the task that sends does it.
        let mut own = true;
        if kept.count() == 0 {
            kept.stops_sending();
            own = kept.count() > 0 && kept.begins_to_send();
        }
        let other = adds.join().expect("it ends");
        assert!(kept.count() == 0 || own || other, "nobody sends what is kept");
        assert!(!(own && other), "one at a time");
    });
}
