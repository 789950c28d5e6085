//! What stands beside a cache: it writes a document for each value that is stored with texts, and for each answer of a function with `similar`, and searches them.

mod alike;
mod asked;
mod beside;
mod counts;
mod embedding;
mod judgements;
mod lies;
mod matches;
mod queue;
mod space;
mod turn;

pub use self::asked::{SearchCache, Searching};
pub use self::beside::Search;
pub use self::counts::SearchStats;
pub use self::judgements::{AlikeStats, Scores};
pub use self::matches::{Match, Matches};
