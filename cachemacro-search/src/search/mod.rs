//! What stands beside a cache: it writes a document for each value that is stored with texts, and searches them.

mod asked;
mod beside;
mod counts;
mod matches;
mod queue;
mod space;

pub use self::asked::{SearchCache, Searching};
pub use self::beside::Search;
pub use self::counts::SearchStats;
pub use self::matches::{Match, Matches};
