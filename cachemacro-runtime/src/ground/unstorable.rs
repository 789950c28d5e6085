//! Why a value is not stored though it was to be.

use std::error::Error as StdError;
use std::fmt;

/// Why a value is returned and not stored though it was to be: stored, it would not come back, or come back as another.
///
/// Counted by [`Stats::unstorable_for`](crate::Stats::unstorable_for), told once by a log line for each place, type and
/// reason, and listed by [`Cache::warnings`](crate::Cache::warnings) and [`health`](crate::Cache::health).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::{Cache, Unstorable, codec::Json};
///
/// let cache = Cache::memory();
/// let part = cache.entry::<f64>("part", 1).with_codec::<Json>();
/// assert!(part.get_or_load(async || 0.0 / 0.0).await.is_nan(), "its caller has it");
/// assert_eq!(cache.stats().total.unstorable_for(Unstorable::NotFinite), 1);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Unstorable {
    /// The codec has no form for it, or its `Serialize` returned an error.
    Unencodable,
    /// The code of the value, or a rule on it, panicked.
    Panicked,
    /// It nests deeper than is decoded.
    TooDeep,
    /// `skip_serializing_if` left a field out, and the codec tells fields by their position.
    SkippedField,
    /// A `Some` of `None`, `()` or the like, which the codec writes as it writes `None`.
    EmptySome,
    /// NaN or an infinity, which the codec cannot write.
    NotFinite,
    /// What was encoded could not be decoded.
    Unreadable,
}

impl Unstorable {
    /// All reasons there are so far.
    pub const ALL: &'static [Unstorable] = &[
        Unstorable::Unencodable,
        Unstorable::Panicked,
        Unstorable::TooDeep,
        Unstorable::SkippedField,
        Unstorable::EmptySome,
        Unstorable::NotFinite,
        Unstorable::Unreadable,
    ];

    /// The reason as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Unstorable::SkippedField.as_str(), "skipped_field");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Unstorable::Unencodable => "unencodable",
            Unstorable::Panicked => "panicked",
            Unstorable::TooDeep => "too_deep",
            Unstorable::SkippedField => "skipped_field",
            Unstorable::EmptySome => "empty_some",
            Unstorable::NotFinite => "not_finite",
            Unstorable::Unreadable => "unreadable",
        }
    }

    /// What to do about it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Unstorable::SkippedField.remedy().contains("MessagePack"));
    /// ```
    pub const fn remedy(self) -> &'static str {
        match self {
            Unstorable::Unencodable => {
                "a `#[serde(flatten)]` needs MessagePack or JSON; a map whose keys are no text needs any codec but JSON"
            }
            Unstorable::Panicked => {
                "the panic's own message says where; let the code return an error or take the value"
            }
            Unstorable::TooDeep => {
                "store a flat form, such as a list of nodes with the numbers of their parents"
            }
            Unstorable::SkippedField => {
                "remove `skip_serializing_if` from the type, or choose MessagePack or JSON as its codec"
            }
            Unstorable::EmptySome => {
                "choose bincode or postcard as its codec, or an enum of one's own in place of the outer `Option`"
            }
            Unstorable::NotFinite => "choose any codec but JSON, or an `Option` in place of NaN",
            Unstorable::Unreadable => {
                "`tag`, `untagged`, `flatten` and `serde_json::Value` need MessagePack or JSON as the codec; \
                 `skip_serializing_if` needs a `default`; whatever `Serialize` writes, `Deserialize` must take"
            }
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unstorable::Unencodable => "the codec cannot hold it",
            Unstorable::Panicked => "its own code, or a rule on it, panicked",
            Unstorable::TooDeep => "it nests deeper than is decoded",
            Unstorable::SkippedField => "it leaves a field out, and the codec tells fields by their position",
            Unstorable::EmptySome => "a `Some` of something empty would come back as `None`",
            Unstorable::NotFinite => "NaN and infinities have no form in the codec",
            Unstorable::Unreadable => "what was encoded could not be decoded",
        })
    }
}

impl StdError for Unstorable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_word_and_sentence() {
        for (index, why) in Unstorable::ALL.iter().enumerate() {
            assert_eq!(why.index(), index);
            for other in &Unstorable::ALL[..index] {
                assert_ne!(why.as_str(), other.as_str());
                assert_ne!(why.to_string(), other.to_string());
            }
        }
    }
}
