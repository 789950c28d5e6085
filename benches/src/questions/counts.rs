//! How often a call allocates.

use std::sync::OnceLock;

use stats_alloc::Region;

use super::size::Counting;
use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Threads, Turn};
use crate::ground::server::Server;
use crate::ground::value::{decode, encode, user};
use crate::peers::{self, memory};

pub const QUESTION: Question = Question {
    name: "counts",
    title: "Allocations",
    method: "Counted in the client's process by its allocator; the driver's are included. The value's own are in the first row, and \
        in all others on Redis.",
    parts: &[
        Part { setting: Setting::One, counts: true, ask: hits },
        Part { setting: Setting::One, counts: true, ask: misses },
        Part { setting: Setting::One, counts: true, ask: in_memory },
    ],
};

static ALLOCATOR: OnceLock<&'static Counting> = OnceLock::new();

/// Says which allocator counts, in the program that has one.
pub fn counted_by(allocator: &'static Counting) {
    assert!(ALLOCATOR.set(allocator).is_ok(), "a program has one");
}

/// The allocator that counts.
pub fn allocator() -> &'static Counting {
    ALLOCATOR.get().expect("the program `count` asks this")
}

const KEYS: u64 = 100;

fn hits(setting: Setting, effort: Effort) -> Vec<Table> {
    let mut table = Table::new("Allocations of a hit on Redis");
    let bytes = encode(&user(7));
    let region = Region::new(allocator());
    let value = decode(&bytes);
    let own = region.change().allocations as f64;
    drop(value);
    for case in ["1 task", "64 tasks"] {
        table.add("the value alone", case, Unit::Count, own);
    }
    on_redis(&mut table, setting, effort, false);
    vec![table]
}

fn misses(setting: Setting, effort: Effort) -> Vec<Table> {
    let mut table = Table::new("Allocations of a miss on Redis");
    on_redis(&mut table, setting, effort, true);
    vec![table]
}

fn on_redis(table: &mut Table, setting: Setting, effort: Effort, fresh: bool) {
    let server = Server::start();
    setting.runtime().block_on(async {
        for subject in peers::on_redis(&server.url(), fresh).await {
            if !fresh {
                subject.each_once(KEYS).await;
            }
            for tasks in [1, 64] {
                let turn = Turn { tasks, keys: KEYS, time: effort.turn };
                subject.turn(turn).await;
                let region = Region::new(allocator());
                let calls = subject.turn(turn).await.count;
                let case = if tasks == 1 { "1 task" } else { "64 tasks" };
                table.add(subject.name, case, Unit::Count, region.change().allocations as f64 / calls);
            }
        }
    });
}

fn in_memory(setting: Setting, effort: Effort) -> Vec<Table> {
    let runtime = setting.runtime();
    let _inside = runtime.enter();
    memory::open();
    let mut table = Table::new("Allocations of a hit in memory");
    for (case, subjects) in [("an `Arc`", memory::shared()), ("by value", memory::by_value())] {
        for subject in subjects {
            let threads = Threads { count: 1, keys: 512, time: effort.turn / 8 };
            subject.threads(threads);
            subject.threads(threads);
            let region = Region::new(allocator());
            // Starting the thread allocates, too; among so many calls that does not show.
            let calls = subject.threads(threads).count;
            table.add(subject.name, case, Unit::Count, region.change().allocations as f64 / calls);
        }
    }
    vec![table]
}
