//! Numbers, times and bytes as people read them.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime};

use etcd_ark::Escaped;
use indicatif::{BinaryBytes, HumanCount};

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// As [`count`], to the nearest whole number.
pub(crate) fn rate(number: f64) -> String {
    let rounded = format!("{number:.0}");
    rounded.parse().map_or(rounded, count)
}

/// A size with the unit that suits it, and in bytes where that differs.
pub(crate) fn bytes(number: u64) -> String {
    match number {
        0..1024 => format!("{number} B"),
        _ => format!("{} ({} bytes)", BinaryBytes(number), count(number)),
    }
}

pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        whole @ 60.. => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

/// As [`seconds`], but for a duration that may be short.
pub(crate) fn brief(duration: Duration) -> String {
    match duration.as_millis() {
        100.. => seconds(duration),
        _ => format!("{:.2} ms", duration.as_secs_f64() * 1e3),
    }
}

/// Rows with their cells below each other: text on the left, figures on the right.
pub(crate) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let cell = |(column, text): (usize, &String)| match column {
        0 => format!("{text:width$}", width = widths[column]),
        _ => format!("{text:>width$}", width = widths[column]),
    };
    let line =
        |row: &[String; COLUMNS]| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ") + "\n";
    rows.iter().map(line).collect()
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis().try_into().unwrap_or(i64::MAX)
}

/// Milliseconds since 1970 as RFC 3339, in UTC. Empty for a year that has no four digits.
pub(crate) fn time(unix_ms: i64) -> String {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    if !(0..=9999).contains(&year) {
        return String::new();
    }
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// Year, month and day, days after 1970-01-01. Counts in eras of 400 years that begin in March, so that the
/// leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Text as it is, line ends and tabs too; anything that could steer a terminal escaped.
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| print_char(f, c))?;
            write!(f, "{}", Escaped(chunk.invalid()))?;
        }
        Ok(())
    }
}

fn print_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\n' | '\t' => f.write_char(c),
        _ if c.is_control() => write!(f, "{}", Escaped(c.encode_utf8(&mut [0; 4]).as_bytes())),
        _ => f.write_char(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn rates_are_whole() {
        assert_eq!([0.4, 1234.5678, f64::INFINITY].map(rate), ["0", "1,235", "inf"]);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([0, 1023, 1536].map(bytes), ["0 B", "1023 B", "1.50 KiB (1,536 bytes)"]);
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!([99_990, 100_000].map(|us| brief(Duration::from_micros(us))), ["99.99 ms", "0.10 s"]);
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [["way", "s"], ["é", "12"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "way   s\né    12\n");
    }

    #[test]
    fn times_are_right_around_leap_days() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(time(1_795_244_600_123), "2026-11-21T07:03:20.123Z");
        assert_eq!(time(i64::MAX), "");
        assert_eq!(time(i64::MIN), "");
    }

    #[test]
    fn text_stays_and_control_characters_do_not() {
        assert_eq!(Printable("a\n\té\"\u{1b}\u{9b}".as_bytes()).to_string(), "a\n\té\"\\x1b\\xc2\\x9b");
        assert_eq!(Printable(b"\xff\0k").to_string(), "\\xff\\x00k");
    }
}
