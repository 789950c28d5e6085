//! Asks questions, each part in a process of its own, and makes the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::answer::{Answer, Table};
use crate::ground::machine;
use crate::ground::rounds::Effort;
use crate::page;
use crate::questions::{self, Part, Question};

const USAGE: &str = "\
usage: compare [--only QUESTION]… [--quick] [--page]

Asks all questions, or only some, and writes docs/benchmarks.md with its charts and figures (docs/benchmarks/).
--only QUESTION  asks this one, and takes the others' figures as they were kept
--quick          fewer and shorter rounds, to see whether all of it runs; written to benches/target/quick
--page           asks nothing: writes the page anew from the figures that were kept
";

/// Where answers and page go.
struct Place {
    /// Of the page; the figures are in `benchmarks` within.
    folder: PathBuf,
}

impl Place {
    fn figures(&self, question: &str) -> PathBuf {
        self.folder.join(format!("benchmarks/{question}.json"))
    }
}

/// The program.
pub fn compare(args: &[String]) -> ExitCode {
    let (mut only, mut effort, mut ask) = (Vec::new(), Effort::FULL, true);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--quick" => effort = Effort::QUICK,
            "--page" => ask = false,
            "--only" if rest.as_slice().first().is_some_and(|name| questions::named(name).is_some()) => {
                only.extend(rest.next());
            }
            _ => {
                let names: Vec<&str> = questions::ALL.iter().map(|question| question.name).collect();
                eprint!("{USAGE}\nQuestions: {}\n", names.join(", "));
                return ExitCode::from(2);
            }
        }
    }
    let folder = if effort.quick { "benches/target/quick" } else { "docs" };
    let place = Place { folder: machine::repository().join(folder) };
    fs::create_dir_all(place.folder.join("benchmarks")).expect("room for it");
    let began = Instant::now();
    for question in &questions::ALL {
        if ask && (only.is_empty() || only.iter().any(|name| *name == question.name)) {
            eprintln!("{:4} s  {}", began.elapsed().as_secs(), question.title);
            // Written at once, so that who stops here can go on with `--only`.
            answer(question, effort).write(&place.figures(question.name));
        }
    }
    let kept = questions::ALL.iter().filter_map(|question| Answer::read(&place.figures(question.name)));
    let answers: Vec<Answer> = kept.collect();
    page::write(&place.folder, &answers);
    eprintln!("{:4} s  {}", began.elapsed().as_secs(), place.folder.join("benchmarks.md").display());
    ExitCode::SUCCESS
}

fn answer(question: &Question, effort: Effort) -> Answer {
    let taken = machine::describe(effort.quick);
    let mut tables: Vec<Table> = Vec::new();
    for (number, part) in question.parts.iter().enumerate() {
        for table in ask_apart(question, number, part, effort) {
            match tables.iter_mut().find(|other| other.title == table.title) {
                Some(other) => other.cells.extend(table.cells),
                None => tables.push(table),
            }
        }
    }
    Answer { question: question.name.to_owned(), taken, tables }
}

fn ask_apart(question: &Question, number: usize, part: &Part, effort: Effort) -> Vec<Table> {
    let told = tempfile::NamedTempFile::new().expect("room for it");
    let program = if part.counts { counting_program() } else { std::env::current_exe().expect("it runs") };
    let done = Command::new(&program)
        .args(["ask", question.name, &number.to_string(), if effort.quick { "quick" } else { "full" }])
        .arg(told.path())
        .status()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(done.success(), "`{}` could not be asked", question.name);
    serde_json::from_slice(&fs::read(told.path()).expect("it was written")).expect("tables")
}

/// The other program of this package, which cargo builds where it is missing or older.
fn counting_program() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--bin", "count"])
        .current_dir(machine::package())
        .status()
        .expect("cargo is installed");
    assert!(built.success(), "`count` does not build");
    std::env::current_exe().expect("it runs").with_file_name("count")
}

/// A process for one part: `ask QUESTION NUMBER full|quick FILE`.
pub fn ask(args: &[String]) {
    let [_, name, number, effort, file] = args else { panic!("`compare` asks this") };
    let question = questions::named(name).expect("it is a question");
    let part = &question.parts[number.parse::<usize>().expect("a number")];
    let effort = if effort == "quick" { Effort::QUICK } else { Effort::FULL };
    part.setting.enter();
    let tables = (part.ask)(part.setting, effort);
    fs::write(Path::new(file), serde_json::to_vec(&tables).expect("figures are finite"))
        .expect("room for it");
}
