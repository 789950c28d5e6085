//! `search calibrate`: from which likeness on questions may share an answer, so that no more than a share of the answers is false.

use std::collections::HashMap;
use std::path::Path;

use cachemacro_search::{Analyzer, Calibration, Document, Guard, Mirror, Query, Trial, WordLists};

use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::table::{Cell, Table};
use crate::text;

/// A score that no threshold reaches: what the guard refuses is not answered.
const REFUSED: f64 = 0.0;

pub(crate) fn calibrate(args: &Args, file: &Path, budget: f64) -> Done {
    let trials = trials(file)?;
    let calibration = Calibration::of(&trials, budget).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut table = Table::new(&["threshold", "answered", "false", "at_most", "fits"]);
    #[expect(clippy::cast_precision_loss, reason = "shares that are shown")]
    let share = |part: u64, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    for row in calibration.rows() {
        let fits = calibration.threshold().is_some_and(|chosen| row.threshold >= chosen - 1e-9);
        table.row(vec![
            format!("{:.2}", row.threshold).into(),
            Cell::Share(share(row.hits, trials.len())),
            Cell::Count(row.false_hits),
            Cell::Share(row.upper),
            if fits { "yes" } else { "no" }.into(),
        ]);
    }
    table.write(&args.output)?;
    match (calibration.threshold(), calibration.share()) {
        (Some(threshold), Some(share)) => {
            text::tell(&format!(
                "threshold = {threshold:.2}: {:.1} % of {} questions would be answered, at most {:.1} % of them falsely",
                share * 100.0,
                trials.len(),
                budget * 100.0
            ));
            Ok(())
        }
        _ => Err(Failure::Wrong(format!(
            "no threshold keeps false answers under {:.1} % by these {} questions: share none, or bring more",
            budget * 100.0,
            trials.len()
        ))),
    }
}

fn wrong(line: u64, what: &str) -> Failure {
    Failure::Usage(format!("line {line}: {what}"))
}

/// The file's rows: a score, or two texts, and whether the answer of the one is right for the other.
fn trials(file: &Path) -> Result<Vec<Trial>, Failure> {
    let unread = |error: csv::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let mut reader = csv::Reader::from_path(file).map_err(unread)?;
    let head = reader.headers().map_err(unread)?.clone();
    let column = |name: &str| head.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
    let missing =
        || Failure::Usage("the columns are `score` and `right`, or `asked`, `stored` and `right`".to_owned());
    let right = column("right").ok_or_else(missing)?;
    let (score, asked, stored) = (column("score"), column("asked"), column("stored"));
    let (mut trials, mut pairs) = (Vec::new(), Vec::new());
    for (at, record) in reader.records().enumerate() {
        let (record, line) = (record.map_err(unread)?, at as u64 + 2);
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        let is_right = match &*cell(right).to_ascii_lowercase() {
            "1" | "true" | "yes" => true,
            "0" | "false" | "no" => false,
            _ => return Err(wrong(line, "`right` is yes or no")),
        };
        match (score, asked, stored) {
            (Some(score), ..) => {
                let score: f64 = cell(score).parse().map_err(|_| wrong(line, "`score` is a number"))?;
                trials.push(Trial { score, is_right });
            }
            (None, Some(asked), Some(stored)) => {
                pairs.push((cell(asked).to_owned(), cell(stored).to_owned(), is_right));
            }
            _ => return Err(missing()),
        }
    }
    if pairs.is_empty() { Ok(trials) } else { compared(&pairs) }
}

/// Questions compared by their words, as the lexical embedder does, among all that are stored; what the guard refuses is not answered.
fn compared(pairs: &[(String, String, bool)]) -> Result<Vec<Trial>, Failure> {
    let (words, guard) = (Analyzer::new(), Guard::new(WordLists::english()));
    let refused = |error: cachemacro_search::Error| Failure::Usage(error.to_string());
    let (mut mirror, mut numbers) = (Mirror::with_limit(Mirror::MOST).map_err(refused)?, HashMap::new());
    for (_, stored, _) in pairs {
        let next = numbers.len();
        if *numbers.entry(stored).or_insert(next) == next {
            mirror.insert(Document::of(&next.to_string(), &[stored], &words).map_err(refused)?);
        }
    }
    let trials = pairs.iter().map(|(asked, stored, is_right)| {
        let key = numbers[stored].to_string();
        let found = mirror.vector(&Query::of(asked, &words).limit(Mirror::MOST));
        let score =
            found.iter().find(|found| *found.key == *key).map_or(REFUSED, |found| f64::from(found.score));
        let score = if guard.compare(asked, stored).is_some() { REFUSED } else { score };
        Trial { score, is_right: *is_right }
    });
    Ok(trials.collect())
}
