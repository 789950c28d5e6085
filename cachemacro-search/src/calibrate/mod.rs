//! From which likeness on answers may be shared, by questions whose right answers are known.

mod interval;

use std::fmt;

use self::interval::upper;
use crate::error::Error;

/// The thresholds that are looked at: 0.50, 0.51, … 0.99, 1.00.
const THRESHOLDS: std::ops::RangeInclusive<u8> = 50..=100;
/// The chance that the true share of false hits is above the upper end of a 95 % interval.
const RISK: f64 = 0.025;

/// One question: how like the nearest stored one is, and whether that one's answer is right for it.
///
/// ```
/// let trial = cachemacro_search::Trial { score: 0.93, is_right: true };
/// assert!(trial.is_right);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a table of two columns")]
pub struct Trial {
    /// How like the nearest stored question is, from 0 to 1; 0 where there is none.
    pub score: f64,
    /// Whether its answer is right.
    pub is_right: bool,
}

/// What a threshold does to questions whose right answers are known.
///
/// ```
/// use cachemacro_search::{Calibration, Trial};
///
/// let trials = vec![Trial { score: 0.9, is_right: true }; 10];
/// let row = Calibration::of(&trials, 0.1)?.rows()[40];
/// assert_eq!((row.threshold, row.hits, row.false_hits), (0.9, 10, 0));
/// # Ok::<(), cachemacro_search::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CalibrationRow {
    /// From which score on answers are shared.
    pub threshold: f64,
    /// So many questions would be answered.
    pub hits: u64,
    /// So many of them falsely.
    pub false_hits: u64,
    /// The share of false hits among hits may be so large, see [`Calibration::of`].
    pub upper: f64,
}

/// The threshold that keeps false hits under a budget, if there is one.
///
/// ```
/// use cachemacro_search::{Calibration, Trial};
///
/// // Of those that are 0.9 alike all are right, of those that are 0.6 alike half.
/// let trials: Vec<Trial> = (0..2_000_u32)
///     .map(|n| Trial { score: if n < 1_000 { 0.9 } else { 0.6 }, is_right: n < 1_000 || n % 2 == 0 })
///     .collect();
/// let calibration = Calibration::of(&trials, 0.01)?;
/// assert_eq!(calibration.threshold(), Some(0.61));
/// assert_eq!(calibration.share(), Some(0.5));
/// assert_eq!(Calibration::of(&trials[..100], 0.01)?.threshold(), None, "too few to tell");
/// # Ok::<(), cachemacro_search::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it says which threshold to use"]
pub struct Calibration {
    rows: Vec<CalibrationRow>,
    chosen: Option<usize>,
    budget: f64,
    questions: u64,
}

impl Calibration {
    /// Looks for the lowest threshold from 0.50 on at which the upper end of the 95 % interval of false hits, as a share of all hits, stays under the budget,
    /// and above which none has a larger share of false hits than that.
    ///
    /// The interval is that of Clopper and Pearson, which is exact. Because the best of 51 thresholds is chosen, each is held to an interval that errs a 51st
    /// as often, so that all of them hold at once. So `n` hits without a false one show a share of `7.6 / n` at best: 1 % needs 760.
    ///
    /// # Errors
    /// [`Error::Budget`] where the budget is no share above 0 and below 1, [`Error::Score`] where a score is no number.
    ///
    /// ```
    /// use cachemacro_search::{Calibration, Error};
    ///
    /// assert_eq!(Calibration::of(&[], 1.0).unwrap_err(), Error::Budget);
    /// assert_eq!(Calibration::of(&[], 0.01)?.threshold(), None);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn of(trials: &[Trial], budget: f64) -> Result<Self, Error> {
        if !(budget > 0.0 && budget < 1.0) {
            return Err(Error::Budget);
        }
        if trials.iter().any(|trial| trial.score.is_nan()) {
            return Err(Error::Score);
        }
        let mut sorted = trials.to_vec();
        sorted.sort_unstable_by(|one, other| one.score.total_cmp(&other.score));
        let risk = RISK / f64::from(THRESHOLDS.end() - THRESHOLDS.start() + 1);
        let rows: Vec<CalibrationRow> =
            THRESHOLDS.map(|hundredths| row(&sorted, f64::from(hundredths) / 100.0, risk)).collect();
        // Of fewer hits a share says nothing.
        let tells = |row: &CalibrationRow| upper(0, row.hits, risk) <= budget;
        let is_bad = |row: &CalibrationRow| tells(row) && share(row.false_hits, row.hits) > budget;
        let first = rows.iter().rposition(is_bad).map_or(0, |bad| bad + 1);
        let chosen = (first..rows.len()).find(|&at| rows[at].upper <= budget);
        Ok(Self { rows, chosen, budget, questions: trials.len() as u64 })
    }

    /// The threshold to use; none where none keeps the budget, or where there are too few questions to tell.
    ///
    /// ```
    /// use cachemacro_search::{Calibration, Trial};
    ///
    /// let right = vec![Trial { score: 0.95, is_right: true }; 1_000];
    /// assert_eq!(Calibration::of(&right, 0.01)?.threshold(), Some(0.5));
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn threshold(&self) -> Option<f64> {
        self.chosen.map(|at| self.rows[at].threshold)
    }

    /// The share of questions that would be answered with that threshold.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Calibration::of(&[], 0.01)?.share(), None);
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn share(&self) -> Option<f64> {
        self.chosen.map(|at| share(self.rows[at].hits, self.questions))
    }

    /// What each threshold does, from 0.50 to 1.00.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Calibration::of(&[], 0.01)?.rows().len(), 51);
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn rows(&self) -> &[CalibrationRow] {
        &self.rows
    }
}

fn row(sorted: &[Trial], threshold: f64, risk: f64) -> CalibrationRow {
    let hits = &sorted[sorted.partition_point(|trial| trial.score < threshold)..];
    let false_hits = hits.iter().filter(|trial| !trial.is_right).count() as u64;
    let hits = hits.len() as u64;
    CalibrationRow { threshold, hits, false_hits, upper: upper(false_hits, hits, risk) }
}

fn share(some: u64, all: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "far below 2⁵³")]
    let share = if all == 0 { 0.0 } else { some as f64 / all as f64 };
    share
}

/// A table of every fifth threshold and of the chosen one, and what was chosen.
impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "threshold   hits   of all   false hits   share   at most")?;
        for (at, row) in self.rows.iter().enumerate() {
            if at % 5 != 0 && self.chosen != Some(at) {
                continue;
            }
            let (of_all, share) =
                (100.0 * share(row.hits, self.questions), 100.0 * share(row.false_hits, row.hits));
            writeln!(
                f,
                "{:>9.2} {:>6} {:>7.1}% {:>12} {:>6.1}% {:>8.1}%",
                row.threshold,
                row.hits,
                of_all,
                row.false_hits,
                share,
                100.0 * row.upper
            )?;
        }
        let budget = 100.0 * self.budget;
        match self.chosen {
            Some(at) => {
                let (row, of_all) = (self.rows[at], 100.0 * share(self.rows[at].hits, self.questions));
                let at_most = 100.0 * row.upper;
                write!(
                    f,
                    "threshold {:.2}: answers {of_all:.1} % of questions, at most {at_most:.2} % of them falsely",
                    row.threshold
                )
            }
            None => write!(
                f,
                "no threshold keeps false hits under {budget} % of hits: share no answers, or bring more questions"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Calibration, Trial};
    use crate::error::Error;

    fn trials(score: f64, right: usize, wrong: usize) -> Vec<Trial> {
        let trial = |is_right| Trial { score, is_right };
        [vec![trial(true); right], vec![trial(false); wrong]].concat()
    }

    #[test]
    fn a_budget_that_is_none_and_a_score_that_is_none_are_refused() {
        for budget in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Calibration::of(&[], budget).err(), Some(Error::Budget), "{budget}");
        }
        assert_eq!(Calibration::of(&trials(f64::NAN, 1, 0), 0.01).err(), Some(Error::Score));
        assert!(Calibration::of(&trials(f64::INFINITY, 1, 0), 0.01).is_ok());
    }

    #[test]
    fn too_few_questions_show_nothing() {
        let chosen = |right| Calibration::of(&trials(0.9, right, 0), 0.01).expect("acceptable").threshold();
        assert_eq!((chosen(0), chosen(700), chosen(800)), (None, None, Some(0.5)));
    }

    #[test]
    fn a_threshold_below_bad_ones_is_not_chosen() {
        // Among all the share of false hits is small, among the most alike it is not.
        let trials = [trials(0.95, 900, 100), trials(0.6, 100_000, 0)].concat();
        let calibration = Calibration::of(&trials, 0.01).expect("acceptable");
        assert_eq!(calibration.threshold(), None);
        assert!(calibration.to_string().contains("no threshold keeps false hits under 1 %"), "{calibration}");
    }

    #[test]
    fn the_table_says_what_was_chosen() {
        let calibration = Calibration::of(&[trials(0.95, 5_000, 10), trials(0.71, 500, 500)].concat(), 0.01)
            .expect("acceptable");
        let text = calibration.to_string();
        assert_eq!(calibration.threshold(), Some(0.72));
        assert!(
            text.ends_with("threshold 0.72: answers 83.4 % of questions, at most 0.50 % of them falsely"),
            "{text}"
        );
        assert!(text.contains("     0.70   6010   100.0%          510    8.5%"), "{text}");
    }
}
