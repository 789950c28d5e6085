//! What was measured: tables of figures, kept as JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The answer to one question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// Which.
    pub question: String,
    /// On what, and of which state of the project.
    pub taken: Taken,
    /// The figures.
    pub tables: Vec<Table>,
}

/// Where and when figures were taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The project's state.
    pub commit: String,
    /// Processor, memory, system.
    pub machine: String,
    /// The compiler.
    pub rustc: String,
    /// The server.
    pub server: String,
    /// What is compared, each with its version.
    pub versions: Vec<String>,
    /// What else ran: processes that wanted to run, on average over the minute before.
    pub load: String,
    /// Whether it was only tried.
    pub quick: bool,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Nanoseconds of one operation.
    Nanoseconds,
    /// Milliseconds.
    Milliseconds,
    /// Things that are counted.
    Count,
    /// Bytes.
    Bytes,
    /// Parts of a hundred.
    Percent,
    /// Seconds.
    Seconds,
    /// Operations or requests in a second: the only one of which more is better.
    PerSecond,
}

/// How a table is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drawn {
    /// Not at all.
    No,
    /// A bar for each cell: how many times as fast as the first row of its column.
    Bars,
    /// A line for each row, over the columns' numbers, which count this.
    Lines(String),
}

/// Rows are subjects, columns are cases.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// One line.
    pub title: String,
    /// Its drawing.
    pub drawn: Drawn,
    /// Whether each cell is also told as a multiple of the first row's in the same round.
    pub compared: bool,
    /// Figures, in the order in which they were asked for.
    pub cells: Vec<Cell>,
}

/// What was measured of one subject in one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// The row.
    pub subject: String,
    /// The column.
    pub case: String,
    /// Of the figures.
    pub unit: Unit,
    /// One figure for each round.
    pub rounds: Vec<f64>,
}

impl Answer {
    /// Reads one that was kept.
    pub fn read(file: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(file).ok()?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
    }

    /// Keeps it.
    pub fn write(&self, file: &Path) {
        let text = serde_json::to_string_pretty(self).expect("figures are finite");
        std::fs::write(file, compact(&text) + "\n")
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// Lists of numbers on one line, so that a difference shows a line for each cell.
fn compact(pretty: &str) -> String {
    let mut text = String::with_capacity(pretty.len());
    for line in pretty.lines() {
        let inner = line.trim_start();
        let number = inner.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if number {
            text.push_str(inner);
            if inner.ends_with(',') {
                text.push(' ');
            }
        } else if inner.starts_with(']') && text.ends_with(|c: char| c.is_ascii_digit()) {
            text.push_str(inner);
            text.push('\n');
        } else if inner.ends_with('[') && inner.starts_with("\"rounds\"") {
            text.push_str(line);
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

impl Table {
    /// An empty one.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), drawn: Drawn::No, compared: false, cells: Vec::new() }
    }

    /// Cells are compared with the first row's, and drawn.
    pub fn compared(mut self) -> Self {
        self.compared = true;
        self.drawn = Drawn::Bars;
        self
    }

    /// Drawn as lines over what the columns' numbers count.
    pub fn over(mut self, what: &str) -> Self {
        self.drawn = Drawn::Lines(what.to_owned());
        self
    }

    /// Adds a figure to a cell.
    pub fn add(&mut self, subject: &str, case: &str, unit: Unit, figure: f64) {
        let figure = (figure * 1_000.0).round() / 1_000.0;
        match self.cells.iter_mut().find(|cell| cell.subject == subject && cell.case == case) {
            Some(cell) => cell.rounds.push(figure),
            None => self.cells.push(Cell {
                subject: subject.into(),
                case: case.into(),
                unit,
                rounds: vec![figure],
            }),
        }
    }

    /// Rows, in order.
    pub fn subjects(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.subject.as_str()))
    }

    /// Columns, in order.
    pub fn cases(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.case.as_str()))
    }

    /// What was measured there.
    pub fn cell(&self, subject: &str, case: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.subject == subject && cell.case == case)
    }

    /// How many times as fast as the first row: the median over the rounds, each compared with the same round.
    pub fn times_as_fast(&self, cell: &Cell) -> Option<f64> {
        let base = self.cells.iter().find(|base| base.case == cell.case)?;
        let ratios = base.rounds.iter().zip(&cell.rounds).map(|(base, own)| match cell.unit {
            Unit::PerSecond => own / base,
            _ => base / own,
        });
        Some(median(ratios.collect()))
    }
}

impl Cell {
    /// The middle figure.
    pub fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// How far the middle half of the rounds reaches from the median, as a part of it.
    pub fn spread(&self) -> f64 {
        let median = self.median();
        let mut away: Vec<f64> = self.rounds.iter().map(|round| (round - median).abs()).collect();
        away.sort_by(f64::total_cmp);
        if median == 0.0 { 0.0 } else { away[away.len() / 2] / median }
    }
}

fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty(), "nothing was measured");
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
