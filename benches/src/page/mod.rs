//! The page, from what was measured. What was tried and left out stands here as text: its code is gone, and cannot be measured again.

mod charts;
mod figures;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use self::figures::{cell, ratio};
use crate::answer::{Answer, Drawn, Table, Taken};
use crate::peers::OURS;
use crate::questions;

const HEAD: &str = "\
# Benchmarks

What cachemacro costs beside what else there is, measured side by side by one program, which wrote this page from its own
figures ([as JSON](benchmarks)). To run it on your machine, in a clone, with `redis-server` installed:

```bash
cargo run --release --manifest-path benches/Cargo.toml                          # all of it: some ten minutes, and this page
cargo run --release --manifest-path benches/Cargo.toml -- --only redis-hit      # one question
cargo run --release --manifest-path benches/Cargo.toml -- --quick               # whether it runs, in two minutes
```
";

const METHOD: &str = "\
## How it is measured

- Everybody does the same in the same process, on the same server, in turns: in each round each has one turn. A figure is the median of
  the rounds. A multiple is the median of the ratios within each round, so that what slows the machine down for a while slows
  both; it says how many times as fast as the first row, so more is better.
- Every question runs in processes of its own, on servers that the program starts on free ports, over the loopback device.
- Each is used as its documentation shows, with the settings named here, and returns the same ten-field struct.
- Every value is decoded and looked at. Nobody may load where hits are measured.

## What it does not show

- **Networks.** Loopback takes microseconds. Over a network the round trip decides, so [round trips](#round-trips-before-the-caller-has-its-value)
  matter more than times.
- **What is done for the time.** redis-rs, fred and rustis here only read and write. They and `cached` let everybody load at once,
  and store values that were evicted during the load; cachemacro does not ([Consistency](consistency.md)). Nothing here measures what that
  is worth.
- **Large machines.** With more processors than two, shared locks and counters cost more than here.
- **Your values.** Other types take longer to decode, or less.
- **Memory pressure, persistence, replication and TLS.** None of them is on.
- Differences of a few percent. The spread under each table says how far rounds lie apart.
";

const TRIED: &str = "\
## What was tried and left out

Measured when it was tried, with prototypes of the driver and of the miss on the same kind of machine; a multiple is of the same baseline in the same round.

| what | what it brought |
|---|---|
| fills of several tasks in one call of a script | nothing: 2.8 µs of the server's time for each, as apart, and the server is held meanwhile |
| two connections, by worker or by turns | less is gathered in one flush: 0.69 instead of 0.73 × on one worker, 0.72 instead of 0.90 × on two |
| always going behind the ready tasks before a flush | a lone reader waits up to twice as long in a runtime that is busy with other work |
| a future of its own for each caller of a combined read | four allocations alone, one among 64 tasks, and 0.2 to 0.3 × |
| a timer for each command | 0.03 × slower than one for all |
| the checksum in one go | 15 ns a hit |
| a hash of 128 bits instead of comparing arguments | 9 ns a hit on a number, 14 on text, and equality would be no longer exact |
| one table per thread before the shared one | 20 to 34 ns instead of 28, and every evict would have to reach all of them |
";

/// Writes the page and its drawings.
pub fn write(folder: &Path, answers: &[Answer]) {
    let mut page = HEAD.to_owned();
    page += &ahead(answers);
    page += &taken(answers);
    page += METHOD;
    for answer in answers {
        let Some(question) = questions::named(&answer.question) else { continue };
        write!(page, "\n## {}\n\n{}\n", question.title, filled(question.method)).expect("memory");
        for (number, table) in answer.tables.iter().enumerate() {
            page += &section(folder, &answer.question, number, table);
        }
    }
    write!(page, "\n{TRIED}").expect("memory");
    let file = folder.join("benchmarks.md");
    fs::write(&file, page).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn section(folder: &Path, question: &str, number: usize, table: &Table) -> String {
    let mut text = format!("\n### {}\n\n", table.title);
    let cases = table.cases();
    writeln!(text, "| | {} |\n|---|{}", cases.join(" | "), "---:|".repeat(cases.len())).expect("memory");
    for subject in table.subjects() {
        let cells = cases.iter().map(|case| cell(table, subject, case)).collect::<Vec<_>>();
        let name = if subject.starts_with(OURS) { format!("**{subject}**") } else { subject.to_owned() };
        writeln!(text, "| {name} | {} |", cells.join(" | ")).expect("memory");
    }
    if let Some(spread) = spread(table) {
        writeln!(text, "\n{spread}").expect("memory");
    }
    if table.drawn != Drawn::No {
        let name = format!("{question}-{}.svg", number + 1);
        charts::draw(&folder.join("benchmarks").join(&name), table);
        writeln!(text, "\n![{}](benchmarks/{name})", table.title.replace('`', "")).expect("memory");
    }
    text
}

/// How far rounds lie apart.
fn spread(table: &Table) -> Option<String> {
    let mut spreads: Vec<f64> =
        table.cells.iter().filter(|cell| cell.rounds.len() > 2).map(|cell| 100.0 * cell.spread()).collect();
    spreads.sort_by(f64::total_cmp);
    let (middle, most) = (spreads.get(spreads.len() / 2)?, spreads.last()?);
    Some(format!(
        "Half of the rounds lie within ±{middle:.0} % of the median in most cells, within ±{most:.0} % in all."
    ))
}

/// Where somebody else is faster. Of the questions that compare.
fn ahead(answers: &[Answer]) -> String {
    let mut lines = Vec::new();
    for (answer, table) in
        answers.iter().flat_map(|answer| answer.tables.iter().map(move |table| (answer, table)))
    {
        if !table.compared || answer.question == "service" {
            continue;
        }
        for case in table.cases() {
            let Some(own) = table.cell(OURS, case).and_then(|cell| table.times_as_fast(cell)) else {
                continue;
            };
            let others = table.subjects().into_iter().filter(|subject| {
                !subject.starts_with(OURS) && *subject != "none" && !subject.starts_with("arithmetic")
            });
            let faster: Vec<String> = others
                .filter_map(|subject| {
                    let other = table.times_as_fast(table.cell(subject, case)?)? / own;
                    (other > 1.02).then(|| format!("{subject} {}", ratio(other)))
                })
                .collect();
            if !faster.is_empty() {
                lines.push(format!("- {}, {case}: {}", table.title, faster.join(", ")));
            }
        }
    }
    let said = if lines.is_empty() { "Nowhere by more than 2 %.".to_owned() } else { lines.join("\n") };
    format!(
        "\n## Where another is ahead\n\nEach with how many times as fast as cachemacro without tags it is, where that is more than 2 %.\n\n{said}\n\n"
    )
}

/// On what, and of which state.
fn taken(answers: &[Answer]) -> String {
    let Some(first) = answers.first() else { return String::new() };
    let Taken { machine, rustc, server, versions, .. } = &first.taken;
    let mut text =
        format!("## What was measured\n\n{machine}; {rustc}; {server}.\n{}.\n\n", versions.join(", "));
    text += "| question | commit | load of the machine before |\n|---|---|---:|\n";
    for answer in answers {
        let title = questions::named(&answer.question).map_or("", |question| question.title);
        let quick = if answer.taken.quick { ", quick" } else { "" };
        writeln!(text, "| {title} | `{}`{quick} | {} |", answer.taken.commit, answer.taken.load)
            .expect("memory");
    }
    if answers.iter().any(|answer| answer.taken.load.parse::<f64>().unwrap_or_default() > 1.5) {
        text += "\nA load over 1 says that other programs ran at the same time: then only the multiples mean something.\n";
    }
    if answers.iter().any(|answer| answer.taken.machine != *machine || answer.taken.versions != *versions) {
        text += "\nNot all questions were asked on this machine and of these versions; the JSON files say of which.\n";
    }
    text + "\n"
}

/// The method's text as one paragraph.
fn filled(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
