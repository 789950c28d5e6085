//! How long many different cold entries take.

use std::time::Instant;

use super::miss::empty;
use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, millis};
use crate::ground::server::Server;
use crate::peers;

pub const QUESTION: Question = Question {
    name: "cold-keys",
    title: "A thousand cold keys at once",
    method: "1,000 tasks ask at the same time for 1,000 different entries that are not there; each load takes 50 ms. The time \
        until the last has its value.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

const CALLERS: u64 = 1_000;
const LOAD: u64 = 50;

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        let subjects = peers::on_redis(&server.url(), true).await;
        let mut admin = server.connect().await;
        let mut times = Table::new("1,000 cold keys, loads of 50 ms").compared();
        peers::loads_take(LOAD);
        for round in 0..=effort.rounds {
            for subject in &subjects {
                let began = Instant::now();
                subject.each_once(CALLERS).await;
                // The first round opens connections.
                if round > 0 {
                    times.add(
                        subject.name,
                        "until the last has its value",
                        Unit::Milliseconds,
                        millis(began.elapsed()),
                    );
                }
            }
            empty(&mut admin).await;
        }
        vec![times]
    })
}
