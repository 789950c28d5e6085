//! Single byte ranges (RFC 9110, 14).

/// What a Range field asks of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The whole: the field is not understood, or asks for several parts.
    Whole,
    /// The bytes from the first to before the second.
    From(usize, usize),
    /// None of them is there.
    Unsatisfiable,
}

/// The part of a body of `length` bytes that a Range field asks for.
pub(crate) fn part(range: &[u8], length: usize) -> Part {
    parsed(range, length).unwrap_or(Part::Whole)
}

fn parsed(range: &[u8], length: usize) -> Option<Part> {
    let (unit, spec) = range.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let spec = spec.trim_ascii();
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(if suffix == 0 || length == 0 {
            Part::Unsatisfiable
        } else {
            Part::From(length.saturating_sub(suffix), length)
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { usize::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(if first >= length {
        Part::Unsatisfiable
    } else {
        Part::From(first, last.saturating_add(1).min(length))
    })
}

fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0_usize, |value, digit| value.saturating_mul(10).saturating_add(usize::from(digit - b'0'))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_ranges() {
        use Part::{From, Unsatisfiable, Whole};
        for (range, expected) in [
            ("bytes=0-1", From(0, 2)), // 14.1.2
            ("bytes=1-", From(1, 10)),
            ("bytes=-1", From(9, 10)),
            ("bytes=-99", From(0, 10)),
            ("bytes=5-99", From(5, 10)),
            ("BYTES=9-9", From(9, 10)),
            ("bytes=10-", Unsatisfiable), // 15.5.17
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=0-1, 3-4", Whole), // several: 14.2 lets a server ignore them
            ("bytes=3-1", Whole),      // 14.1.1: invalid
            ("bytes=a-b", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(part(range.as_bytes(), 10), expected, "{range:?}");
        }
        assert_eq!(part(b"bytes=0-", 0), Unsatisfiable);
        assert_eq!(part(b"bytes=-5", 0), Unsatisfiable);
    }
}
