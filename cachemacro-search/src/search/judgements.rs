//! What became of questions that might share an answer, counted by reason.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use cachemacro::Judged;

use super::counts::Count;
use crate::guard::Difference;

/// Scores from 0 to 1 in so many steps.
const STEPS: usize = 20;

/// How often scores were in each of twenty steps from 0 to 1.
///
/// ```
/// let scores = cachemacro_search::Search::new().alike_stats().nearest;
/// assert_eq!((scores.counts.len(), scores.over(0.9)), (20, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Scores {
    /// From 0 to 0.05, from there to 0.1, and so on; 1 is in the last one.
    pub counts: [u64; STEPS],
}

impl Scores {
    /// How many were at this score or over it, to the step that it is in.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Scores::default().over(0.5), 0);
    /// ```
    pub fn over(&self, score: f32) -> u64 {
        self.counts[step(score)..].iter().sum()
    }
}

/// What became of questions whose exact key had no value, at functions with `similar`. Counts only grow.
///
/// ```
/// use cachemacro_search::{Difference, Search};
///
/// let stats = Search::new().alike_stats();
/// assert_eq!(stats.guarded.map(|(difference, _)| difference), Difference::ALL);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlikeStats {
    /// Questions.
    pub asked: u64,
    /// Those that were given another one's answer.
    pub answered: u64,
    /// Those without a vector: the embedder failed, was late, rests after failures, or gave something else than a vector.
    pub unembedded: u64,
    /// Those for which the documents were not searched in time, or their search failed.
    pub unsearched: u64,
    /// Those to which nothing of their scope came up to the threshold.
    pub far: u64,
    /// Candidates that the guard refused, by what differed.
    pub guarded: [(Difference, u64); Difference::ALL.len()],
    /// Candidates whose answer was not there, or past its TTL.
    pub gone: u64,
    /// Candidates whose answer was not read, or too old for the caller alone.
    pub unread: u64,
    /// Candidates that `confirm` turned down.
    pub unconfirmed: u64,
    /// How like the nearest question of the scope was, under the threshold too; 0 where there was none.
    pub nearest: Scores,
    /// How like the question was whose answer was given.
    pub shared: Scores,
}

/// Counted so far.
#[derive(Debug, Default)]
pub(super) struct Judgements {
    asked: Count,
    answered: Count,
    unembedded: Count,
    unsearched: Count,
    far: Count,
    guarded: [Count; Difference::ALL.len()],
    gone: Count,
    unread: Count,
    unconfirmed: Count,
    nearest: Counted,
    shared: Counted,
}

#[derive(Debug, Default)]
struct Counted([AtomicU64; STEPS]);

impl Counted {
    fn one(&self, score: f32) {
        self.0[step(score)].fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Scores {
        Scores { counts: array::from_fn(|at| self.0[at].load(Ordering::Relaxed)) }
    }
}

/// The step that a score is in. What is no number is in the first.
fn step(score: f32) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "casts saturate"
    )]
    let step = (score * STEPS as f32 + 1e-4) as usize;
    step.min(STEPS - 1)
}

impl Judgements {
    pub(super) fn asked(&self) {
        self.asked.one();
    }

    pub(super) fn no_vector(&self) {
        self.unembedded.one();
    }

    pub(super) fn not_searched(&self) {
        self.unsearched.one();
    }

    pub(super) fn nothing_near(&self) {
        self.far.one();
    }

    pub(super) fn nearest(&self, score: f32) {
        self.nearest.one(score);
    }

    pub(super) fn differs(&self, difference: Difference) {
        if let Some(at) = Difference::ALL.iter().position(|one| *one == difference) {
            self.guarded[at].one();
        }
    }

    pub(super) fn judged(&self, score: f32, judged: Judged) {
        match judged {
            Judged::Answered => {
                self.answered.one();
                self.shared.one(score);
            }
            Judged::Unconfirmed => self.unconfirmed.one(),
            Judged::Gone => self.gone.one(),
            _ => self.unread.one(),
        }
    }

    pub(super) fn snapshot(&self) -> AlikeStats {
        AlikeStats {
            asked: self.asked.get(),
            answered: self.answered.get(),
            unembedded: self.unembedded.get(),
            unsearched: self.unsearched.get(),
            far: self.far.get(),
            guarded: array::from_fn(|at| (Difference::ALL[at], self.guarded[at].get())),
            gone: self.gone.get(),
            unread: self.unread.get(),
            unconfirmed: self.unconfirmed.get(),
            nearest: self.nearest.snapshot(),
            shared: self.shared.snapshot(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn every_score_is_in_a_step() {
        for (score, is) in [(0.0, 0), (0.049, 0), (0.05, 1), (0.5, 10), (0.95, 19), (1.0, 19), (7.0, 19)] {
            assert_eq!(step(score), is, "{score}");
        }
        assert_eq!((step(f32::NAN), step(-1.0), step(f32::INFINITY)), (0, 0, 19));
    }
}
