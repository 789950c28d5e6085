//! How figures are written.

use crate::answer::{Table, Unit};

/// What was measured, and the multiple where the table compares.
pub fn cell(table: &Table, subject: &str, case: &str) -> String {
    let Some(cell) = table.cell(subject, case) else { return "–".to_owned() };
    let figure = figure(cell.median(), cell.unit);
    match table.times_as_fast(cell).filter(|_| table.compared) {
        Some(times) => format!("{figure} · **{}**", ratio(times)),
        None => figure,
    }
}

/// A multiple.
pub fn ratio(times: f64) -> String {
    if times >= 10.0 { format!("{times:.0} ×") } else { format!("{times:.2} ×") }
}

/// A figure with its unit.
pub fn figure(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds if figure >= 1e6 => format!("{} ms", short(figure / 1e6)),
        Unit::Nanoseconds if figure >= 10_000.0 => format!("{} µs", short(figure / 1e3)),
        Unit::Nanoseconds if figure >= 1_000.0 => format!("{:.2} µs", figure / 1e3),
        Unit::Nanoseconds => format!("{} ns", short(figure)),
        Unit::Milliseconds => format!("{} ms", short(figure)),
        Unit::Seconds => format!("{figure:.2} s"),
        Unit::Count => short(figure),
        Unit::Bytes => format!("{} B", short(figure.round())),
        Unit::Percent => format!("{} %", short(figure)),
        Unit::PerSecond => thousands(figure),
    }
}

/// Three digits, or all before the point.
fn short(figure: f64) -> String {
    let size = figure.abs();
    if size == figure.abs().trunc() && size < 1e6 || size >= 100.0 {
        thousands(figure)
    } else if size >= 10.0 {
        format!("{figure:.1}")
    } else if size >= 1.0 {
        format!("{figure:.2}")
    } else {
        format!("{figure:.3}")
    }
}

fn thousands(figure: f64) -> String {
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if figure <= -0.5 { format!("-{text}") } else { text }
}
