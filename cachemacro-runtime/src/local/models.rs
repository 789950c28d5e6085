//! Generations under [loom](https://docs.rs/loom), which plays every order in which threads can take the locks and reach the
//! counters: run by `scripts/loom`. Each mechanism was removed once, and the model beside it failed:
//!
//! | removed | model |
//! |---|---|
//! | the sample is compared before a cell is given | `what_changed_on_its_way_is_not_kept` |
//! | the sample is taken before the read | `what_changed_on_its_way_is_not_kept` |
//! | a change is noted before the cell falls | `what_changed_on_its_way_is_not_kept` |
//! | the sample is compared under the lock | `what_changed_on_its_way_is_not_kept` |
//! | a change of all names is noted | `what_was_under_way_when_all_changed_is_not_kept` |

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::cells::Cells;

/// A process that reads once and keeps what it read, while another process writes and `tell` tells of it.
fn play(tell: fn(&Cells)) {
    loom::model(move || {
        let (cells, row) = (Arc::new(Cells::new()), Arc::new(AtomicUsize::new(0)));
        let reader = {
            let (cells, row) = (Arc::clone(&cells), Arc::clone(&row));
            thread::spawn(move || {
                let since = cells.sample();
                let read = row.load(SeqCst);
                Some((read, cells.cell(&"row".into(), since)?))
            })
        };
        row.store(1, SeqCst);
        tell(&cells);
        let kept = reader.join().expect("no panic");
        let stale = kept.is_some_and(|(read, cell)| read == 0 && cell.holds());
        assert!(!stale, "the old row is kept after all was told");
    });
}

#[test]
fn what_changed_on_its_way_is_not_kept() {
    play(|cells| drop(cells.end(b"row")));
}

#[test]
fn what_was_under_way_when_all_changed_is_not_kept() {
    play(|cells| drop(cells.end_prefix("")));
}
