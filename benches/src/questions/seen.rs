//! How soon a process with local copies sees what another one evicts.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::Effort;
use crate::ground::server::{Server, connect};
use crate::peers::memory;

pub const QUESTION: Question = Question {
    name: "evict-seen",
    title: "An evict, seen by another process",
    method: "A process with local copies reads one entry again and again, while 64 of its tasks read others from the server as fast \
        as they can. Another process writes the row and evicts the entry, by its key or by its tag. How long after the evict was \
        acknowledged the first process has the new row; its load, of one `GET`, included.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

/// Where the row is, beside the cache.
const ROW: &str = "the row";
const READERS: u64 = 64;

static SERVER: OnceLock<MultiplexedConnection> = OnceLock::new();

#[cachemacro::cached(prefix = "row", key = "{id}", ttl = "1h", tags = ["rows"])]
async fn row(id: u64) -> u64 {
    let _ = id;
    let mut server = SERVER.get().expect("it was connected").clone();
    server.get(ROW).await.expect("the server answers")
}

#[cachemacro::cached(prefix = "other", key = "{id}", ttl = "1h", local = "off")]
async fn other(id: u64) -> u64 {
    id
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is later")
}

/// What the process does that reads: tells each row that it sees, and when.
pub fn watch(url: &str) {
    Setting::Two.runtime().block_on(async {
        memory::open_local(url);
        SERVER.set(connect(url).await).ok().expect("once");
        memory::until_local().await;
        for task in 0..READERS {
            tokio::spawn(async move {
                for id in task.. {
                    other(id % 100).await;
                }
            });
        }
        println!("ready");
        let mut last = None;
        for count in 1_u64.. {
            let seen = row(7).await;
            if last.replace(seen) != Some(seen) {
                println!("{seen} {}", now().as_nanos());
            }
            if count % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
}

fn ask(setting: Setting, effort: Effort) -> Vec<Table> {
    let server = Server::start();
    let rounds = if effort.quick { 30 } else { 500 };
    let mut table = Table::new("Until another process sees an evict, under full load");
    setting.runtime().block_on(async {
        let mut plain = server.connect().await;
        let write = async |plain: &mut MultiplexedConnection, row: u64| {
            let () = plain.set(ROW, row).await.expect("the server answers");
        };
        write(&mut plain, 0).await;
        let cache = cachemacro::Cache::builder().redis(server.url()).namespace("bench");
        let cache = cache.command_timeout(Duration::from_secs(60)).build().expect("settings are right");
        let program = std::env::current_exe().expect("it runs");
        let mut child = Command::new(program)
            .args(["watch", &server.url()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let mut told = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut line = || told.next().expect("it goes on").expect("text");
        assert_eq!(
            (line(), line().split_once(' ').map(|(row, _)| row == "0")),
            ("ready".to_owned(), Some(true))
        );
        let mut next = 0_u64;
        for by in ["its key", "its tag"] {
            let mut times = Vec::new();
            for _ in 0..rounds {
                next += 1;
                // Until it has a copy again.
                tokio::time::sleep(Duration::from_millis(5)).await;
                write(&mut plain, next).await;
                let evict = cache.evict();
                let evict = if by == "its key" { evict.key("row", 7_u64) } else { evict.tags(["rows"]) };
                evict.await.expect("the server answers");
                let acknowledged = now();
                let line = line();
                let (row, at) = line.split_once(' ').expect("two numbers");
                assert_eq!(row.parse(), Ok(next), "it is told in time, and loads what is there");
                let at: u128 = at.parse().expect("a number");
                times.push(at.saturating_sub(acknowledged.as_nanos()) as f64 / 1e6);
            }
            times.sort_unstable_by(f64::total_cmp);
            for (percent, case) in [(50, "p50"), (99, "p99"), (100, "longest")] {
                table.add(
                    by,
                    case,
                    Unit::Milliseconds,
                    times[(times.len() * percent / 100).min(times.len() - 1)],
                );
            }
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    });
    vec![table]
}
