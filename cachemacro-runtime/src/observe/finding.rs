//! Whether what was served is what the function returns: what a look came to, and what was found to differ.

use serde::{Deserialize, Serialize};

/// What became of a hit that was held against what its function returns now.
///
/// ```
/// assert_eq!(cachemacro_runtime::Checked::Overtaken.as_str(), "overtaken");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Checked {
    /// The value is what the function returns, or may differ for so long.
    Consistent,
    /// It differed, and was evicted, replaced or about to be by then.
    Overtaken,
    /// It differed, and still did a second later at least, with nothing evicted or stored between.
    Inconsistent,
    /// The function failed, or nobody asked again for a value that had differed once.
    Inconclusive,
}

impl Checked {
    /// The outcome as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// assert_eq!(cachemacro_runtime::Checked::Inconsistent.as_str(), "inconsistent");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Checked::Consistent => "consistent",
            Checked::Overtaken => "overtaken",
            Checked::Inconsistent => "inconsistent",
            Checked::Inconclusive => "inconclusive",
        }
    }
}

/// A value that was served and is not what its function returns: where, and nothing of what it holds.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// assert!(cachemacro::Cache::memory().report().findings.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Finding {
    /// The function, as in [`SiteReport::site`](crate::report::SiteReport); empty for entries by hand.
    pub site: String,
    /// The hash of its key, in hexadecimal digits, as headers have it.
    pub key: String,
    /// How long the value had been stored, in milliseconds, when it was last seen to differ.
    pub age_millis: u64,
    /// How long after it was first seen to differ that was, in milliseconds.
    pub after_millis: u64,
    /// When it was last seen to differ, by the process's clock, in milliseconds since the Unix epoch.
    pub found_at: u64,
    /// Where in the value: `.rows[3].name`, `.prices{}` for what a map holds, `value` for the whole.
    pub paths: Vec<String>,
}
