//! What a miss costs where the load is ready at once.

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Turn};
use crate::ground::server::Server;
use crate::peers;

pub const QUESTION: Question = Question {
    name: "miss",
    title: "A miss",
    method: "Each call asks for an entry that was never there, loads at once, and stores. The plain way is `GET` and `SET`. \
        cachemacro takes a lease, so that nobody else loads the same, and its fill is refused if the entry was evicted in \
        the meantime; the others do neither. The server is emptied after each round.",
    parts: &[
        Part { setting: Setting::One, counts: false, ask },
        Part { setting: Setting::Two, counts: false, ask },
    ],
};

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        let subjects = peers::on_redis(&server.url(), true).await;
        let mut admin = server.connect().await;
        let mut times = Table::new("Time of a miss").compared();
        let mut commands = Table::new("What the server runs for a miss, commands within scripts included");
        for subject in &subjects {
            subject.turn(Turn { tasks: 64, keys: 1, time: effort.turn / 4 }).await;
        }
        for tasks in [1, 64] {
            let turn = Turn { tasks, keys: 1, time: effort.turn };
            let case = format!("`{}`, {tasks} task{}", setting.name(), if tasks == 1 { "" } else { "s" });
            for _ in 0..effort.rounds {
                for subject in &subjects {
                    times.add(subject.name, &case, Unit::Nanoseconds, subject.turn(turn).await.each);
                }
                empty(&mut admin).await;
            }
        }
        for subject in &subjects {
            let (before, loads) = (server.done(&mut admin).await, peers::loads());
            subject.turn(Turn { tasks: 1, keys: 1, time: effort.turn }).await;
            // What was sent and not awaited comes first.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let after = server.done(&mut admin).await;
            let ran = after.commands - before.commands - 1.0;
            let case = format!("`{}`, commands", setting.name());
            commands.add(subject.name, &case, Unit::Count, ran / (peers::loads() - loads) as f64);
        }
        vec![times, commands]
    })
}

/// Nothing is left on the server.
pub async fn empty(admin: &mut redis::aio::MultiplexedConnection) {
    redis::cmd("FLUSHALL").exec_async(admin).await.expect("the server answers");
}
