//! How many round trips a caller waits for.

use std::time::{Duration, Instant};

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::proxy;
use crate::ground::rounds::{Effort, millis};
use crate::ground::server::{Server, url};
use crate::peers;

pub const QUESTION: Question = Question {
    name: "trips",
    title: "Round trips before the caller has its value",
    method: "The same by one task, over a proxy that adds 20 ms to every round trip; the shortest time of a call, in round trips.",
    parts: &[
        Part { setting: Setting::Two, counts: false, ask: |setting, effort| ask(setting, effort, false) },
        Part { setting: Setting::Two, counts: false, ask: |setting, effort| ask(setting, effort, true) },
    ],
};

/// So long that what else takes time does not show.
const TRIP: Duration = Duration::from_millis(20);

fn ask(setting: Setting, effort: Effort, fresh: bool) -> Vec<Table> {
    let server = Server::start();
    let far = url(proxy::delaying(server.port(), TRIP));
    setting.runtime().block_on(async {
        let mut trips = Table::new("Round trips that a caller waits for");
        let case = if fresh { "miss" } else { "hit" };
        for subject in peers::on_redis(&far, fresh).await {
            // The first opens connections, the second finds all that is kept once.
            let mut least = f64::MAX;
            for round in 0..2 + effort.rounds {
                let began = Instant::now();
                subject.all_of(7, 1).await;
                if round > 1 {
                    least = least.min(millis(began.elapsed()) / millis(TRIP));
                }
            }
            // A busy machine only adds.
            trips.add(subject.name, case, Unit::Count, (least * 10.0).round() / 10.0);
        }
        vec![trips]
    })
}
