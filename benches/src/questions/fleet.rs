//! What many processes do with one cold entry.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, millis};
use crate::ground::server::Server;
use crate::peers;

pub const QUESTION: Question = Question {
    name: "one-cold-key",
    title: "One cold key in four processes",
    method: "Four processes with 1,000 callers each ask for one entry that is not there; the load takes 50 ms. How often it is \
        loaded, and how long after such a load the last caller has its value.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

const PROCESSES: usize = 4;
const CALLERS: u64 = 1_000;
const LOAD: u64 = 50;

/// Another process.
struct Caller {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Caller {
    fn start(url: &str) -> Self {
        let program = std::env::current_exe().expect("it runs");
        let mut child = Command::new(program)
            .args(["call", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut caller = Self { child, to, from };
        assert_eq!(caller.line(), "ready");
        caller
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it tells");
        line.trim().to_owned()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(_: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    let mut callers: Vec<Caller> = (0..PROCESSES).map(|_| Caller::start(&server.url())).collect();
    let names: Vec<String> = callers.iter_mut().map(Caller::line).collect();
    let names: Vec<&str> = names[0].split(';').collect();
    let mut table = Table::new("4 × 1,000 callers of one cold key, a load of 50 ms");
    // The first round opens connections.
    for round in 0..=effort.rounds as u64 {
        for (at, name) in names.iter().enumerate() {
            for caller in &mut callers {
                writeln!(caller.to, "{at} {}", 1_000 * (round + 1) + at as u64).expect("it listens");
            }
            let (mut loads, mut last) = (0.0, 0.0_f64);
            for caller in &mut callers {
                let line = caller.line();
                let (count, time) = line.split_once(' ').expect("two figures");
                loads += count.parse::<f64>().expect("a number");
                last = last.max(time.parse().expect("a number"));
            }
            if round > 0 {
                table.add(name, "loads", Unit::Count, loads);
                table.add(name, "last caller, after the load", Unit::Milliseconds, last - LOAD as f64);
            }
        }
    }
    vec![table]
}

/// What such a process does: for each line with a subject's place and an entry, has all callers ask for it, and tells how
/// often it was loaded here, and after how many milliseconds the last caller had its value.
pub fn call(url: &str) {
    Setting::Two.runtime().block_on(async {
        let subjects = peers::on_redis(url, false).await;
        peers::loads_take(LOAD);
        println!("ready");
        let names: Vec<&str> = subjects.iter().map(|subject| subject.name).collect();
        println!("{}", names.join(";"));
        for line in std::io::stdin().lines() {
            let line = line.expect("text");
            let (at, id) = line.split_once(' ').expect("two numbers");
            let subject = &subjects[at.parse::<usize>().expect("a place")];
            let id: u64 = id.parse().expect("a number");
            let (before, began) = (peers::loads(), Instant::now());
            subject.all_of(id, CALLERS).await;
            println!("{} {}", peers::loads() - before, millis(began.elapsed()));
        }
    });
}
