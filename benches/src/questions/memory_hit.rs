//! How long a hit in memory takes, on one thread and on two.

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Named, Threads};
use crate::peers::{self, memory};

pub const QUESTION: Question = Question {
    name: "memory-hit",
    title: "A hit in memory",
    method: "1,024 entries on one thread, by a number; on two threads 512 each, or one entry for both. `cached` is its \
        attribute with a size and a time to live, which each of the others has too unless it says so. The value is the \
        same struct, in an `Arc` or by value: then every hit clones it. `arithmetic` shares nothing: what it loses on two \
        threads is the machine's.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

pub(super) const KEYS: u64 = 1_024;

/// Has all keys kept. Several times: what was read once and what was read again may be kept differently.
pub(super) fn warm(subject: &Named) {
    for _ in 0..3 {
        subject.threads(Threads { count: 1, keys: KEYS, time: std::time::Duration::from_nanos(1) });
    }
}

/// How many threads read which keys.
pub(super) fn cases(effort: Effort) -> [(&'static str, Threads); 3] {
    let time = effort.turn / 4;
    [
        ("one thread", Threads { count: 1, keys: KEYS, time }),
        ("two threads, different keys", Threads { count: 2, keys: KEYS / 2, time }),
        ("two threads, one hot key", Threads { count: 2, keys: 1, time }),
    ]
}

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let runtime = setting.runtime();
    let _inside = runtime.enter();
    memory::open();
    let mut shared = memory::shared();
    let by_value = memory::by_value();
    shared.iter().chain(&by_value).for_each(warm);
    shared.push(memory::control());

    let mut arcs = Table::new("Time of a hit in memory, an `Arc` is handed out").compared();
    let cases = cases(effort);
    for (case, threads) in cases {
        rounds(&mut arcs, &shared, case, threads, effort);
    }
    let mut values = Table::new("Time of a hit in memory, the struct is handed out by value").compared();
    for (case, threads) in &cases[..2] {
        rounds(&mut values, &by_value, case, *threads, effort);
    }
    vec![arcs, values]
}

/// How long a hit takes each of them, in turns.
pub(super) fn rounds(table: &mut Table, subjects: &[Named], case: &str, threads: Threads, effort: Effort) {
    for _ in 0..effort.rounds {
        for subject in subjects {
            let loads = peers::loads();
            let given = subject.threads(threads);
            assert_eq!(peers::loads(), loads, "{} loads where all are hits", subject.name);
            table.add(subject.name, case, Unit::Nanoseconds, given.each);
        }
    }
}
