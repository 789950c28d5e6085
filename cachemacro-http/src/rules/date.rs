//! HTTP dates (RFC 9110, 5.6.7): the three formats read, one written. Seconds since 1970.
//!
//! Not by the crate `httpdate`, which hyper has: of dates that the RFC has caches read it takes some for none, and those of RFC 850 for
//! others, by a century at most. The test `what_the_crate_httpdate_reads_otherwise` shows which. To a cache that is a response that
//! expired long ago, or stays fresh.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const LONG_DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// The time that a date names. Weekday, month and zone are read whatever their case; nothing else is forgiven, because a date that
/// is misread keeps a response alive. `now` places the two digits of the year in the format of RFC 850.
pub(crate) fn parse(date: &[u8], now: u64) -> Option<u64> {
    let date = std::str::from_utf8(date).ok()?;
    imf(date).or_else(|| rfc850(date, now)).or_else(|| asctime(date))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf(date: &str) -> Option<u64> {
    let rest = weekday(date, &DAYS)?.strip_prefix(", ")?;
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 2)?;
    let month = month(parts.next()?)?;
    let year = number(parts.next()?, 4)?;
    let time = time(parts.next()?)?;
    zone(&mut parts)?;
    seconds(year, month, day, time)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(date: &str, now: u64) -> Option<u64> {
    let rest = weekday(date, &LONG_DAYS)?.strip_prefix(", ")?;
    let mut parts = rest.split(' ');
    let mut day = parts.next()?.split('-');
    let (date, month, short) = (number(day.next()?, 2)?, month(day.next()?)?, number(day.next()?, 2)?);
    if day.next().is_some() {
        return None;
    }
    let time = time(parts.next()?)?;
    zone(&mut parts)?;
    let this = civil(now).0;
    // A year that seems to be more than 50 years ahead is the last one with these digits.
    let year = this - this % 100 + short;
    let year = if year > this + 50 { year - 100 } else { year };
    seconds(year, month, date, time)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(date: &str) -> Option<u64> {
    let rest = weekday(date, &DAYS)?.strip_prefix(' ')?;
    let month = month(rest.get(..3)?)?;
    let day = rest.get(3..7)?.strip_prefix(' ')?.strip_suffix(' ')?;
    let day = number(day.strip_prefix(' ').unwrap_or(day), if day.starts_with(' ') { 1 } else { 2 })?;
    let (at, year) = rest.get(7..)?.split_once(' ')?;
    seconds(number(year, 4)?, month, day, time(at)?)
}

/// What follows the weekday.
fn weekday<'a>(date: &'a str, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| {
        let (head, rest) = date.split_at_checked(name.len())?;
        (head.eq_ignore_ascii_case(name) && !rest.starts_with(|next: char| next.is_alphabetic()))
            .then_some(rest)
    })
}

fn month(name: &str) -> Option<u64> {
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    Some(at as u64 + 1)
}

fn time(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let (hour, minute, second) =
        (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    (parts.next().is_none() && hour < 24 && minute < 60 && second <= 60)
        .then_some(hour * 3600 + minute * 60 + second.min(59))
}

fn zone<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<()> {
    (parts.next()?.eq_ignore_ascii_case("GMT") && parts.next().is_none()).then_some(())
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn seconds(year: u64, month: u64, day: u64, time: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1970 || day == 0 || day > longest {
        return None;
    }
    // Days since 0000-03-01, then since 1970-01-01.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + time)
}

/// Year, month and day of a time.
fn civil(seconds: u64) -> (u64, u64, u64) {
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(crate) fn format(seconds: u64) -> String {
    let (year, month, day) = civil(seconds);
    let weekday = DAYS[usize::try_from(seconds / 86_400 % 7).unwrap_or_default()];
    let name = MONTHS[usize::try_from(month - 1).unwrap_or_default()];
    let time = seconds % 86_400;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{weekday}, {day:02} {name} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_750_000_000;

    fn parsed(date: &str) -> Option<u64> {
        parse(date.as_bytes(), NOW)
    }

    #[test]
    fn the_three_formats_name_one_time() {
        let formats =
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        assert_eq!(formats.map(parsed), [Some(784_111_777); 3]);
        assert_eq!(parsed("THU, 18 aug 2050 02:01:18 gMT"), parsed("Thu, 18 Aug 2050 02:01:18 GMT"));
        assert_eq!(parsed("Thursday, 18-Aug-50 02:01:18 GMT"), parsed("Thu Aug 18 02:01:18 2050"));
    }

    #[test]
    fn what_the_crate_httpdate_reads_otherwise() {
        let theirs = |date: &str| {
            let time = httpdate::parse_http_date(date).ok()?;
            Some(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
        };
        let same = "Thu, 18 Aug 2050 02:01:18 GMT";
        assert_eq!(theirs(same), parsed(same));
        for (date, its, named) in [
            // The names of days and months, and GMT, are read in any case, as the public suite of HTTP caches asks.
            ("THU, 18 aug 2050 02:01:18 gMT", None, "Thu, 18 Aug 2050 02:01:18 GMT"),
            ("thursday, 18-aug-50 02:01:18 GMT", None, "Thu, 18 Aug 2050 02:01:18 GMT"),
            // 5.6.7: a year of two digits that seems to be more than 50 years ahead is a past one; 1970 is not the border.
            ("Sunday, 18-Aug-75 02:01:18 GMT", None, "Sun, 18 Aug 2075 02:01:18 GMT"),
            (
                "Monday, 18-Aug-75 02:01:18 GMT",
                Some("Mon, 18 Aug 1975 02:01:18 GMT"),
                "Sun, 18 Aug 2075 02:01:18 GMT",
            ),
            // 5.6.7: `second` is 00 to 60.
            ("Sat, 31 Dec 2016 23:59:60 GMT", None, "Sat, 31 Dec 2016 23:59:59 GMT"),
        ] {
            assert_eq!(theirs(date), its.and_then(parsed), "{date}");
            assert_eq!(parsed(date), parsed(named), "{date}");
        }
    }

    #[test]
    fn nothing_else_is_a_date() {
        for date in [
            "",
            "0",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 31 Feb 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT x",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 1901 02:01:18 GMT",
            "Thuä, 18 Aug 2050 02:01:18 GMT",
        ] {
            assert_eq!(parsed(date), None, "{date:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for seconds in (0..).step_by(86_400 * 17 + 12_345).take(2_000) {
            assert_eq!(parsed(&format(seconds)), Some(seconds), "{}", format(seconds));
        }
    }
}
