//! Durations as routes write them: `"5m"`, or a [`Duration`].

use std::time::Duration;

/// A duration, or its text: `250ms`, `5s`, `5m`, `1h30m`, `7d`.
///
/// ```
/// use cachemacro_http::IntoDuration;
/// use std::time::Duration;
///
/// assert_eq!("1h30m".into_duration(), Duration::from_secs(5400).into_duration());
/// ```
pub trait IntoDuration {
    /// The duration.
    ///
    /// ```
    /// use cachemacro_http::IntoDuration;
    ///
    /// assert_eq!("250ms".into_duration().as_millis(), 250);
    /// ```
    ///
    /// # Panics
    /// Where the text is no duration. Routes are built when a program starts, so it panics then.
    #[track_caller]
    fn into_duration(self) -> Duration;
}

impl IntoDuration for Duration {
    fn into_duration(self) -> Duration {
        self
    }
}

impl IntoDuration for &str {
    #[track_caller]
    fn into_duration(self) -> Duration {
        // Not in a closure: the panic is to tell the line where the route is made.
        match parsed(self) {
            Some(duration) => duration,
            None => panic!(
                "{self:?} is no duration; write numbers with their units, as in \"250ms\", \"5m\" or \"1h30m\""
            ),
        }
    }
}

/// The duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn parsed(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|next: char| !next.is_ascii_digit())?;
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|next: char| next.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(60 * 60),
            "d" => Duration::from_secs(24 * 60 * 60),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, millis) in
            [("250ms", 250), ("0s", 0), ("5m", 300_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parsed(text).map(|duration| duration.as_millis()), Some(millis), "{text}");
        }
        for wrong in ["", "5", "m", "5 m", "-5m", "5x", "1.5h", "99999999999s"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
