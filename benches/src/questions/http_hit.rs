//! How long a hit takes through a layer around a service for HTTP.

use super::memory_hit::rounds;
use super::{Part, Question};
use crate::answer::Table;
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Threads};
use crate::peers::{http, memory};

pub const QUESTION: Question = Question {
    name: "http-hit",
    title: "A response from memory, through a layer",
    method: "One Tower service that answers `GET` with so many bytes, in each of the layers, on one thread, without a network: a request \
        for one of 64 paths is made, answered and its body read. Each layer is set up as its first example does it, with a time to live of \
        an hour. What they check differs: axum-response-cache looks at method and path alone; cachemacro-http also at host, \
        query, credentials, directives, validators, `Vary` and tags.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

const SIZES: [(&str, usize); 3] = [("300 B", 300), ("10 KiB", 10 << 10), ("256 KiB", 256 << 10)];

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let runtime = setting.runtime();
    let _inside = runtime.enter();
    memory::open();
    let mut table = Table::new("Time of a response from memory").compared();
    for (case, bytes) in SIZES {
        let threads = Threads { count: 1, keys: http::PATHS, time: effort.turn };
        let subjects = http::layers(bytes);
        for subject in &subjects {
            // Several times: what was asked for once and what was asked for again may be kept differently.
            for _ in 0..3 {
                subject.threads(Threads { time: std::time::Duration::from_nanos(1), ..threads });
            }
        }
        rounds(&mut table, &subjects, case, threads, effort);
    }
    vec![table]
}
