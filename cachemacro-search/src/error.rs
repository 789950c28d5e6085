//! What may be wrong with what was asked or stored.

use crate::limits::{MOST_DIMENSIONS, MOST_DOCUMENTS, MOST_KEY};

/// Why something was refused.
///
/// ```
/// use cachemacro_search::{Analyzer, Error, Query};
///
/// let refused = Query::of("heatrow", &Analyzer::new()).threshold(f64::NAN);
/// assert_eq!(refused.unwrap_err(), Error::Threshold);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A threshold is a number from 0 to 1.
    #[error("a threshold is a number from 0 to 1")]
    Threshold,
    /// A budget of false hits is a share above 0 and below 1.
    #[error("a budget of false hits is a share above 0 and below 1, such as 0.01")]
    Budget,
    /// A score that is no number.
    #[error("a score is a number")]
    Score,
    /// A mirror holds from one to [`Mirror::MOST`](crate::Mirror::MOST) documents.
    #[error("a mirror holds from 1 to {MOST_DOCUMENTS} documents")]
    Limit,
    /// The key is longer than [`Document::MOST_KEY`](crate::Document::MOST_KEY) bytes.
    #[error("the key is longer than {MOST_KEY} bytes")]
    Key,
    /// A vector has from one to [`Document::MOST_DIMENSIONS`](crate::Document::MOST_DIMENSIONS) dimensions, each a number, not all of
    /// them zero.
    #[error("a vector has from 1 to {MOST_DIMENSIONS} dimensions, each a number, not all of them zero")]
    Vector,
    /// The cache has no [`Search`](crate::Search) beside it.
    #[error("nothing is searched beside this cache: give its builder `.beside(Arc::new(Search::new()))`")]
    NotBeside,
    /// A function stores values under the prefix, and says not by what they are found.
    #[error(
        "the function under this prefix does not say by what its values are found: add `search = [&result.name, …]` to its `#[cached]`"
    )]
    NotSearched,
    /// The prefix is sealed: an index would tell whoever reads it what is sealed.
    #[error("what is sealed is not found by its text")]
    Sealed,
    /// It was not said what to look for.
    #[error("it is not said what to look for: `.fuzzy(…)`, `.vector(…)` or `.exact(…)`")]
    Unasked,
    /// The bytes are no document.
    #[error("the bytes are no document")]
    Bytes,
    /// The bytes are a document of a version that this one does not read.
    #[error("the bytes are a document of another version: {0}")]
    Version(u8),
}
