//! Counts what one call allocates, and with valgrind how many instructions it takes in the client, and compares that with what
//! `counts.txt` beside this package says. `./scripts/counts` runs it.
//!
//!     counts                 compares; fails where more is allocated than before
//!     counts write           writes the file anew
//!     counts run NAME N      does it so many times: what valgrind looks at

mod server;
mod work;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::server::Server;
use crate::work::Work;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// How often it is done before anything counts, and how often it then is.
const BEFORE: u64 = 200;
const COUNTED: u64 = 400;
/// Instructions differ by the order in which sockets and timers become ready. Less than this is no difference.
const NOISE: f64 = 0.02;

/// What is known of one kind of work.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    allocations: f64,
    /// None where valgrind is missing.
    instructions: Option<f64>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["write"] => {
            let rows = measure();
            std::fs::write(file(), table(&rows)).expect("the folder can be written to");
            print!("{}", table(&rows));
            ExitCode::SUCCESS
        }
        ["run", name, times] => {
            let times = times.parse().expect("a number");
            Work::named(name, std::env::var("COUNTS_URL").ok()).run(times);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: counts [write]");
            ExitCode::from(2)
        }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.txt")
}

fn measure() -> Vec<Row> {
    let server = Server::start();
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok_and(|done| done.status.success());
    let one = |name: &&str| {
        let mut work = Work::named(name, Some(server.url()));
        work.run(BEFORE);
        let region = Region::new(ALLOCATOR);
        work.run(COUNTED);
        let counted = (COUNTED * work::calls(name)) as f64;
        let allocations = region.change().allocations as f64 / counted;
        let instructions = valgrind
            .then(|| (executed(name, BEFORE + COUNTED, &server) - executed(name, BEFORE, &server)) / counted);
        Row { name: (*name).to_owned(), allocations, instructions }
    };
    work::NAMES.iter().map(one).collect()
}

/// Instructions of a process that does it so many times.
fn executed(name: &str, times: u64, server: &Server) -> f64 {
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("it runs"))
        .args(["run", name, &times.to_string()])
        .env("COUNTS_URL", server.url())
        .output()
        .expect("valgrind is installed");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    let line = told.lines().find_map(|line| line.split_once("Collected : ")).expect("it tells how many");
    line.1.trim().parse().expect("a number")
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Written by ./scripts/counts write. Of one call: what it allocates; instructions in the client.\n",
    );
    writeln!(text, "# {:<28} {:>12} {:>14}", "call", "allocations", "instructions").expect("memory");
    for Row { name, allocations, instructions } in rows {
        let instructions = instructions.map_or("-".to_owned(), |count| format!("{count:.0}"));
        writeln!(text, "{name:<30} {allocations:>12.2} {instructions:>14}").expect("memory");
    }
    text
}

fn known() -> Vec<Row> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let rows = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(Row {
            name: words.next()?.to_owned(),
            allocations: words.next()?.parse().ok()?,
            instructions: words.next()?.parse().ok(),
        })
    });
    rows.collect()
}

/// Prints each with its difference. More allocations fail; instructions are told only.
fn compare() -> ExitCode {
    let (known, rows) = (known(), measure());
    println!("{:<30} {:>12} {:>8} {:>14} {:>8}", "call", "allocations", "before", "instructions", "change");
    let mut failed = false;
    for Row { name, allocations, instructions } in &rows {
        let before = known.iter().find(|row| row.name == *name);
        let change = before.and_then(|before| Some(instructions.as_ref()? / before.instructions? - 1.0));
        let change = match change {
            None => "-".to_owned(),
            Some(change) if change.abs() < NOISE => "none".to_owned(),
            Some(change) => format!("{:+.1} %", 100.0 * change),
        };
        let count = instructions.map_or("-".to_owned(), |count| format!("{count:.0}"));
        let had = before.map_or("-".to_owned(), |before| format!("{:.2}", before.allocations));
        println!("{name:<30} {allocations:>12.2} {had:>8} {count:>14} {change:>8}");
        // One more in ten calls is more; a buffer that grew once in a while is not.
        if before.is_none_or(|before| *allocations > before.allocations + 0.1) {
            eprintln!("{name}: more is allocated than benches/counts/counts.txt says");
            failed = true;
        }
    }
    if failed {
        eprintln!("Where that is meant to be so, `./scripts/counts write` writes the file anew.");
    }
    ExitCode::from(u8::from(failed))
}
