//! Whether what is served is held against what the function returns now, of how many hits, and what a difference means.

use std::time::Duration;

/// Holds a share of a site's hits against what its function returns now, to see whether what is served is true. See
/// [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/operations.md#verify-is-what-we-serve-true).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Policy, Verify};
/// use std::time::Duration;
///
/// const PRICES: Policy = Policy::new().verify(Verify::millionths(1_000).within(Duration::from_secs(60)));
/// assert_eq!(PRICES.verify.map(|verify| verify.millionths), Some(1_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verify {
    /// How many of a million hits, chosen at random; a million: each.
    pub millionths: u32,
    /// How long a value may differ after it was stored: what only its TTL renews is outdated by design. `None`: not at all.
    pub within: Option<Duration>,
    /// Whether an entry that was found to differ is evicted.
    pub evicts: bool,
    /// Whether the function runs in a task of its own: the call hands it over.
    pub(crate) behind: bool,
}

impl Verify {
    /// Each hit.
    pub(crate) const ALL: u32 = 1_000_000;

    /// So many of a million hits; a million at most.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Verify::millionths(1_000).millionths, 1_000);
    /// ```
    pub const fn millionths(share: u32) -> Self {
        let millionths = if share > Self::ALL { Self::ALL } else { share };
        Self { millionths, within: None, evicts: false, behind: false }
    }

    /// A value may differ for so long after it was stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let minute = Duration::from_secs(60);
    /// assert_eq!(cachemacro::Verify::millionths(1_000).within(minute).within, Some(minute));
    /// ```
    #[must_use]
    pub const fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    /// An entry that was found to differ is evicted.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Verify::millionths(1_000).evicts(true).evicts);
    /// ```
    #[must_use]
    pub const fn evicts(mut self, evicts: bool) -> Self {
        self.evicts = evicts;
        self
    }

    /// The function runs in a task of its own, behind the hit.
    #[doc(hidden)]
    #[must_use]
    pub const fn behind(mut self) -> Self {
        self.behind = true;
        self
    }

    /// A share of more than nothing as it is written, `0.1%`, the sign left out or not.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, part) = match text.trim().trim_end_matches('%').trim_end() {
            number if number.contains('.') => number.split_once('.')?,
            number => (number, ""),
        };
        let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || whole.len() + part.len() == 0 || part.len() > 4 {
            return None;
        }
        // Of a hundred, with four digits behind the point.
        let millionths: u32 = format!("{whole}{part:0<4}").parse().ok()?;
        (1..=Self::ALL).contains(&millionths).then(|| Self::millionths(millionths))
    }

    /// The share of the hits, as it is written: `0.1%`.
    pub(crate) fn share(self) -> String {
        let text = format!("{}.{:04}", self.millionths / 10_000, self.millionths % 10_000);
        format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::Verify;

    #[test]
    fn a_share_is_read_as_it_is_written() {
        let parsed = |text| Verify::parse(text).map(|verify| verify.millionths);
        for (text, millionths) in
            [("0.1%", 1_000), ("100%", 1_000_000), ("5", 50_000), (" 0.0001 %", 1), (".5%", 5_000)]
        {
            assert_eq!(parsed(text), Some(millionths), "{text}");
        }
        for text in ["", "%", ".", "0%", "0.00001%", "100.1%", "-1%", "1e1%", "all", "99999999999%"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_is_told_as_it_is_written() {
        let share = |millionths| Verify::millionths(millionths).share();
        assert_eq!([share(1_000), share(1), share(105_000)], ["0.1%", "0.0001%", "10.5%"]);
        assert_eq!([share(0), share(1_000_000), share(u32::MAX)], ["0%", "100%", "100%"]);
    }
}
