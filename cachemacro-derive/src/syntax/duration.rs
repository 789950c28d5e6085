//! Lengths of time as text: `"250ms"`, `"1h30m"`, `"never"`.

use syn::Expr;

const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// A length of time.
#[derive(Clone)]
pub(crate) enum Time {
    Millis(u64),
    Never,
    /// A constant `Duration`.
    Expr(Box<Expr>),
}

/// Reads a length of time; the error says what to write instead.
pub(crate) fn parse(text: &str) -> Result<Time, String> {
    if text == "never" {
        return Ok(Time::Never);
    }
    let shown = format!("`\"{text}\"` is not a length of time");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("{shown}: write one such as `\"5m\"` or `\"1h30m\"`"));
    }
    if rest.starts_with('-') {
        return Err(format!("{shown}: it cannot be negative"));
    }
    // The text as it should have been written, for the message.
    let mut meant = String::new();
    let mut is_meant = true;
    let mut missing = "";
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(format!("{shown}: write one such as `\"5m\"` or `\"1h30m\"`"));
        }
        let (number, tail) = rest.split_at(digits);
        if tail.starts_with('.') {
            return Err(format!("{shown}: write whole numbers, as in `\"1h30m\"` or `\"1500ms\"`"));
        }
        let spaced = tail.trim_start();
        let letters = spaced.len() - spaced.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, after) = spaced.split_at(letters);
        let (name, factor) = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some(&known) => known,
            None if unit.is_empty() => smaller(&meant),
            None => likely(unit).ok_or_else(|| format!("{shown}: units are ms, s, m, h, d and w"))?,
        };
        if unit.is_empty() {
            missing = "the unit is missing; ";
        }
        is_meant &= unit == name && spaced.len() == tail.len();
        meant.push_str(number);
        meant.push_str(name);
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .and_then(|millis| total.checked_add(millis))
            .ok_or_else(|| format!("{shown}: it is too long; `\"never\"` is the longest"))?;
        rest = after.trim_start();
    }
    if is_meant {
        Ok(Time::Millis(total))
    } else {
        Err(format!("{shown}: {missing}did you mean `\"{meant}\"`?"))
    }
}

/// The unit to suggest where one is missing: the next smaller one than the unit before, or seconds.
fn smaller(so_far: &str) -> (&'static str, u64) {
    let at = UNITS.iter().rposition(|(name, _)| {
        so_far.strip_suffix(name).is_some_and(|number| number.ends_with(|c: char| c.is_ascii_digit()))
    });
    UNITS[at.map_or(1, |at| at.saturating_sub(1))]
}

/// The unit that was probably meant, as in `min` for `m`.
fn likely(unit: &str) -> Option<(&'static str, u64)> {
    let likely = match unit.to_lowercase().trim_end_matches('s') {
        "m" | "msec" | "milli" | "millisecond" if unit.len() > 1 => Some("ms"),
        "sec" | "second" | "" => Some("s"),
        "m" | "min" | "minute" => Some("m"),
        "h" | "hr" | "hour" => Some("h"),
        "d" | "day" => Some("d"),
        "w" | "wk" | "week" => Some("w"),
        _ => None,
    };
    UNITS.iter().find(|(name, _)| Some(*name) == likely).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> u64 {
        match parse(text) {
            Ok(Time::Millis(millis)) => millis,
            Ok(_) => panic!("{text} is no number of milliseconds"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn units_add_up() {
        assert_eq!(millis("250ms"), 250);
        assert_eq!(millis("5m"), 300_000);
        assert_eq!(millis("1h30m"), 5_400_000);
        assert_eq!(millis("1h 30m"), 5_400_000);
        assert_eq!(millis("0s"), 0);
        assert!(matches!(parse("never"), Ok(Time::Never)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, message) in [
            ("5", "did you mean `\"5s\"`"),
            ("", "write one such as"),
            ("1.5h", "whole numbers"),
            ("5min", "did you mean `\"5m\"`"),
            ("5 minutes", "did you mean `\"5m\"`"),
            ("1 h", "did you mean `\"1h\"`"),
            ("1 hour 30 minutes", "did you mean `\"1h30m\"`"),
            ("2 Days", "did you mean `\"2d\"`"),
            ("1h30", "did you mean `\"1h30m\"`"),
            ("250 millis", "did you mean `\"250ms\"`"),
            ("1h 5", "did you mean `\"1h5m\"`"),
            ("5 years", "units are"),
            ("5x", "units are"),
            ("-5s", "negative"),
            ("99999999999999999w", "too long"),
            ("soon", "write one such as"),
        ] {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9msh. -]{0,12}|\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
