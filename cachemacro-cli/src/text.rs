//! Text from elsewhere, made fit for a terminal: keys, tags and reports may hold anything.

use std::fmt::Write as _;

/// Whether a character could do something to a terminal, or to the order in which others are shown, or is not seen.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Says something on standard error, whatever is in it.
pub(crate) fn tell(what: &str) {
    eprintln!("cachemacro: {}", shown(what));
}

/// The text with what is active written as an escape: `\u{1b}`.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Bytes as text, with those that are no UTF-8 as `\xff`. Active characters are still in it: see [`shown`].
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// JSON whose strings hold nothing active: serde writes C1 controls and marks of direction as they are.
pub(crate) fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_active(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
    let count_f = count as f64;
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{:.1} KiB", count_f / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count_f / 1_048_576.0),
        _ => format!("{:.1} GiB", count_f / 1_073_741_824.0),
    }
}

/// A time for people: its largest unit and the next.
pub(crate) fn time(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole seconds of a positive time"
    )]
    let whole = seconds.clamp(0.0, 1e15) as u64;
    match whole {
        0 if seconds <= 0.0 => "0 s".to_owned(),
        0 if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        0 => format!("{:.0} ms", seconds * 1e3),
        1..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_do_something_to_a_terminal_is_shown_as_an_escape() {
        for hostile in [
            "\u{1b}[2J",
            "a\r\nb",
            "\u{9b}31m",
            "\u{7f}",
            "\u{202e}cod",
            "\u{7}",
            "\u{200b}",
            "\u{61c}7",
            "\u{e0041}",
            "\u{fffa}",
        ] {
            for harmless in [shown(hostile), json(&serde_json::to_string(hostile).expect("text"))] {
                assert!(!harmless.chars().any(is_active), "{harmless:?}");
            }
        }
        assert_eq!(shown("user:7 é 日"), "user:7 é 日");
        assert_eq!(of_bytes(b"a\xffb"), "a\\xffb");
        let back: String = serde_json::from_str(&json("\"\u{202e}\u{e0001}\"")).expect("still JSON");
        assert_eq!(back, "\u{202e}\u{e0001}");
    }

    /// Else text from elsewhere gets to the terminal as it is.
    #[test]
    fn what_is_said_on_standard_error_goes_through_one_place() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path())
            {
                if file.is_dir() {
                    folders.push(file);
                } else if !file.ends_with("text.rs") {
                    let text = std::fs::read_to_string(&file).expect("a source");
                    assert!(!text.contains("eprintln!("), "{}", file.display());
                }
            }
        }
    }

    #[test]
    fn times_and_sizes_have_their_units() {
        let times = [0.0, 0.000_25, 0.25, 2.5, 42.0, 90.0, 7_300.0, 200_000.0].map(time);
        assert_eq!(times, ["0 s", "250 µs", "250 ms", "2.5 s", "42 s", "1 min 30 s", "2 h 1 min", "2 d 7 h"]);
        assert_eq!([0, 1_536, 5 << 20, 3 << 30].map(bytes), ["0 B", "1.5 KiB", "5.0 MiB", "3.0 GiB"]);
    }
}
