//! What a cost grows with.

use std::future::Future;
use std::time::{Duration, Instant};

use cachemacro::{Cache, Keyspace};

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Named, Subject, Turn, nanos};
use crate::ground::server::{Server, connect};
use crate::ground::value::{User, user};
use crate::peers::attributes::{self, Cached, Ours};
use crate::peers::by_hand::ByHand;
use crate::peers::{self, OURS};

pub const QUESTION: Question = Question {
    name: "growth",
    title: "Cost that grows",
    method: "On Redis, client and server on one processor. Where nothing else is said, 64 tasks and 260-byte values; times are \
        those of one hit. For the number of entries, hits are drawn from all that there are, and then the one tag that \
        all of them carry is evicted.",
    parts: &[
        Part { setting: Setting::One, counts: false, ask: tags },
        Part { setting: Setting::One, counts: false, ask: values },
        Part { setting: Setting::One, counts: false, ask: tasks },
        Part { setting: Setting::One, counts: false, ask: entries },
    ],
};

/// Takes turns for one column; what is read is there.
async fn column(table: &mut Table, subjects: &[(String, Named)], case: &str, turn: Turn, effort: Effort) {
    for (_, subject) in subjects {
        subject.each_once(turn.keys).await;
    }
    for _ in 0..effort.rounds {
        for (row, subject) in subjects {
            table.add(row, case, Unit::Nanoseconds, subject.hits(turn).await);
        }
    }
}

fn row(name: &'static str, subject: impl Subject) -> (String, Named) {
    (name.to_owned(), Named::new(name, subject))
}

const KEYS: u64 = 100;

fn tags(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        attributes::open(&server.url());
        let mut table = Table::new("Time of a hit by the number of its tags").over("tags");
        let subjects = |name: &'static str| {
            [
                ("0", row(name, Ours::<0>)),
                ("1", row(name, Ours::<1>)),
                ("2", row(name, Ours::<2>)),
                ("4", row(name, Ours::<4>)),
                ("8", row(name, Ours::<8>)),
                ("16", row(name, Ours::<16>)),
            ]
        };
        for (name, tasks) in [("cachemacro, 1 task", 1), ("cachemacro, 64 tasks", 64)] {
            let turn = Turn { tasks, keys: KEYS, time: effort.turn / 2 };
            for (case, subject) in subjects(name) {
                column(&mut table, &[subject], case, turn, effort).await;
            }
        }
        vec![table]
    })
}

fn values(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        attributes::open(&server.url());
        let plain = connect(&server.url()).await;
        let mut table = Table::new("Time of a hit by the size of its value, 64 tasks").over("bytes");
        for (at, size) in [100, 1_000, 10_000, 100_000, 1_000_000_usize].into_iter().enumerate() {
            // What the other nine fields take.
            peers::notes_have(size.saturating_sub(193));
            let first = 1_000 * at as u64;
            let subjects = [
                row("redis-rs", From { subject: ByHand(plain.clone()), first }),
                row("cached", From { subject: Cached, first }),
                row(OURS, From { subject: Ours::<0>, first }),
                row("cachemacro, 3 tags", From { subject: Ours::<3>, first }),
            ];
            let turn = Turn { tasks: 64, keys: 16, time: effort.turn / 2 };
            column(&mut table, &subjects, &size.to_string(), turn, effort).await;
        }
        vec![table]
    })
}

/// The same with other entries.
#[derive(Clone)]
struct From<S> {
    subject: S,
    first: u64,
}

impl<S: Subject> Subject for From<S> {
    async fn go(&self, id: u64) {
        self.subject.go(self.first + id).await;
    }
}

fn tasks(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        attributes::open(&server.url());
        let plain = connect(&server.url()).await;
        let mut table = Table::new("Time of a hit by the number of tasks").over("tasks");
        let subjects = [
            row("redis-rs", ByHand(plain)),
            row("cached", Cached),
            row(OURS, Ours::<0>),
            row("cachemacro, 3 tags", Ours::<3>),
        ];
        for tasks in [1, 4, 16, 64, 256, 512] {
            let turn = Turn { tasks, keys: KEYS, time: effort.turn / 2 };
            column(&mut table, &subjects, &tasks.to_string(), turn, effort).await;
        }
        vec![table]
    })
}

/// Entries of one group, which is their tag.
#[derive(Clone)]
struct Group(Keyspace<u64, User>);

impl Subject for Group {
    async fn go(&self, id: u64) {
        assert_eq!(self.0.get(&id).await.expect("the server answers").expect("it is there").id, id);
    }
}

/// How many entries are written by one call.
const BATCH: u64 = 500;

fn entries(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    let most: &[u64] =
        if effort.quick { &[1, 1_000, 10_000] } else { &[1, 1_000, 10_000, 100_000, 1_000_000] };
    setting.runtime().block_on(async {
        attributes::open(&server.url());
        let cache = Cache::current();
        let mut table =
            Table::new("Time by the number of entries that there are, and that carry the evicted tag")
                .over("entries");
        for count in most {
            let tag = format!("group:{count}");
            let space: Keyspace<u64, User> = cache.keyspace(&format!("grouped-{count}"));
            let space = {
                let tag = tag.clone();
                space.tags(move |_| [tag.clone()])
            };
            for first in (0..*count).step_by(BATCH as usize) {
                let ids = first..(first + BATCH).min(*count);
                let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, user(id))).collect();
                space.get_or_load_many(ids, load).await;
            }
            let case = count.to_string();
            let group = Named::new("hit", Group(space.clone()));
            for _ in 0..effort.rounds {
                let turn = Turn { tasks: 64, keys: *count, time: effort.turn / 2 };
                table.add("cachemacro, hit, 64 tasks", &case, Unit::Nanoseconds, group.hits(turn).await);
            }
            // The first evict ends the entries; others take as long, as what they find is not looked for.
            for _ in 0..effort.rounds {
                let took = timed(cache.evict_tags([&tag])).await;
                table.add("cachemacro, evict of their tag", &case, Unit::Nanoseconds, nanos(took));
            }
            assert_eq!(space.get(&0).await.expect("the server answers"), None, "it was evicted");
        }
        vec![table]
    })
}

async fn timed<T>(evict: impl Future<Output = cachemacro::Result<T>>) -> Duration {
    let began = Instant::now();
    evict.await.expect("the server answers");
    began.elapsed()
}
