//! How long a hit takes that a local copy answers, in front of Redis, and one of a sync function.

use std::time::Duration;

use super::memory_hit::{cases, rounds, warm};
use super::{Part, Question};
use crate::answer::Table;
use crate::ground::pin::Setting;
use crate::ground::rounds::Effort;
use crate::ground::server::Server;
use crate::peers::memory;

pub const QUESTION: Question = Question {
    name: "local-hit",
    title: "A hit at hand",
    method: "As a hit in memory, with cachemacro on Redis with `local`: its values are those of the server, with tags, told of every change. \
        The others have values of their own process, which nobody tells of anything, in the same run. Sync functions are kept in \
        the process on both sides, by the attribute with a size and a time to live.",
    parts: &[
        Part { setting: Setting::Two, counts: false, ask },
        Part { setting: Setting::Two, counts: false, ask: ask_sync },
    ],
};

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    let runtime = setting.runtime();
    let _inside = runtime.enter();
    memory::open_local(&server.url());
    let mut subjects = memory::at_hand();
    runtime.block_on(memory::until_local());
    for subject in &subjects {
        warm(subject);
        // What was loaded is kept once the server has told of it, and else by the next read.
        std::thread::sleep(Duration::from_millis(50));
        warm(subject);
    }
    subjects.push(memory::control());
    let mut table = Table::new("Time of a local hit, an `Arc` is handed out").compared();
    for (case, threads) in cases(effort) {
        rounds(&mut table, &subjects, case, threads, effort);
    }
    vec![table]
}

fn ask_sync(setting: Setting, effort: Effort) -> Vec<Table> {
    let runtime = setting.runtime();
    let _inside = runtime.enter();
    memory::open();
    let mut subjects = memory::sync();
    subjects.iter().for_each(warm);
    subjects.push(memory::control());
    let mut table = Table::new("Time of a hit of a sync function, an `Arc` is handed out").compared();
    for (case, threads) in cases(effort) {
        rounds(&mut table, &subjects, case, threads, effort);
    }
    vec![table]
}
