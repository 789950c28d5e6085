//! How long a hit on Redis takes, and what it asks of the server.

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Turn};
use crate::ground::server::Server;
use crate::peers;

pub const QUESTION: Question = Question {
    name: "redis-hit",
    title: "A hit on Redis",
    method: "100 entries of a ten-field struct, 260 bytes in bincode, read at random by one task and by 64. `one`: client and \
        server share one processor, one worker thread. `two`: two worker threads, nobody is pinned. Times are those of one \
        hit among all: with 64 tasks the inverse of the throughput.",
    parts: &[
        Part { setting: Setting::One, counts: false, ask },
        Part { setting: Setting::Two, counts: false, ask },
    ],
};

const KEYS: u64 = 100;

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        let subjects = peers::on_redis(&server.url(), false).await;
        let mut admin = server.connect().await;
        let mut times = Table::new("Time of a hit on Redis").compared();
        let mut commands = Table::new("What the server does for a hit, 64 tasks");
        for subject in &subjects {
            subject.each_once(KEYS).await;
        }
        for tasks in [1, 64] {
            let turn = Turn { tasks, keys: KEYS, time: effort.turn };
            let case = format!("`{}`, {tasks} task{}", setting.name(), if tasks == 1 { "" } else { "s" });
            for _ in 0..effort.rounds {
                for subject in &subjects {
                    times.add(subject.name, &case, Unit::Nanoseconds, subject.hits(turn).await);
                }
            }
        }
        for subject in &subjects {
            let turn = Turn { tasks: 64, keys: KEYS, time: effort.turn };
            let before = server.done(&mut admin).await;
            let hits = subject.turn(turn).await.count;
            let after = server.done(&mut admin).await;
            // The question for it is one of each.
            let case = |what| format!("`{}`, {what}", setting.name());
            let [ran, read] = [after.commands - before.commands - 1.0, after.reads - before.reads - 1.0];
            commands.add(subject.name, &case("commands"), Unit::Count, ran / hits);
            commands.add(subject.name, &case("reads of a socket"), Unit::Count, read / hits);
        }
        vec![times, commands]
    })
}
