//! Two puts of one entry whose database writes commit in either order: the cache has the current value or none.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cachemacro::__private::{NoRules, Plain, Writes, write};
use cachemacro::Entry;
use cachemacro_tests::{Dice, Process, RedisServer, Rig, rounds};
use tokio::task::{JoinSet, yield_now};

/// Lets other tasks run for a few polls.
async fn pause(dice: &mut Dice) {
    for _ in 0..dice.below(4) {
        yield_now().await;
    }
}

/// A put whose database write commits when the dice say so, and whose cache work follows when they say so.
async fn put(entry: Entry<u64>, row: Arc<AtomicU64>, value: u64, mut dice: Dice) {
    pause(&mut dice).await;
    let body = pin!(async {
        pause(&mut dice).await;
        row.store(value, Ordering::SeqCst);
        pause(&mut dice).await;
        value
    });
    write(Writes::new(Plain).put(Some(entry), NoRules, false), body, |_, writes| writes).await;
}

/// Rounds of two puts, and on every third one a reader among them. How many left a value.
async fn race(processes: &[Process; 2], count: u64) -> u64 {
    let row = Arc::new(AtomicU64::new(0));
    let entries = processes.each_ref().map(|process| process.cache.entry::<u64>("row", 7));
    let (mut left, mut stored) = ([0, 0], 0);
    for round in 0..count {
        let mut dice = Dice::new(round);
        let mut tasks = JoinSet::new();
        for at in [0, 1] {
            // From one process or from two.
            let entry = entries[at * usize::try_from(round % 2).expect("a bit")].clone();
            tasks.spawn(put(entry, row.clone(), 2 * round + at as u64 + 1, dice.split()));
        }
        if round % 3 == 0 {
            let (entry, row, mut dice) = (entries[0].clone(), row.clone(), dice.split());
            tasks.spawn(async move {
                pause(&mut dice).await;
                let load = async || {
                    let value = row.load(Ordering::SeqCst);
                    pause(&mut dice).await;
                    value
                };
                entry.get_or_load(load).await;
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no put panics");
        }
        let current = row.load(Ordering::SeqCst);
        left[usize::from(current == 2 * round + 1)] += 1;
        for entry in &entries {
            let found = entry.get().await.expect("the store answers");
            assert!(found.is_none_or(|found| found == current), "round {round}: {found:?} for {current}");
            stored += u64::from(found.is_some());
        }
    }
    assert!(left.iter().all(|&left| left > count / 5), "either order came up: {left:?}");
    stored / 2
}

/// Upholds G4.
#[tokio::test]
async fn two_puts_leave_the_current_value_or_nothing_in_memory() {
    let rig = Rig::memory();
    let stored = race(&[rig.process(), rig.process()], rounds(10_000)).await;
    assert!(stored > 1_000, "{stored}");
}

/// Upholds G4.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_puts_on_several_threads_leave_the_current_value_or_nothing_in_memory() {
    let rig = Rig::memory();
    race(&[rig.process(), rig.process()], rounds(2_000)).await;
}

/// Upholds G4.
#[tokio::test]
async fn two_puts_leave_the_current_value_or_nothing_on_redis() {
    let server = RedisServer::start();
    let rig = Rig::at(&server.url());
    let stored = race(&[rig.process(), rig.process()], rounds(10_000)).await;
    assert!(stored > 0, "at times one of them comes first and last");
}
