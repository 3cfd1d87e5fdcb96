//! Durations as etcdctl takes them, which is Go's way: `2s`, `500ms`, `1m30s`, `1.5h`.

use std::time::Duration;

/// Longer units first where one begins with another.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6), // U+00B5
    ("μs", 1e-6), // U+03BC
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// Reads a duration above zero.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text).ok_or("give a number with a unit, such as 500ms, 2s or 1m30s")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Err("must be more than 0".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("too long".into()),
    }
}

fn seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        sum += number.parse::<f64>().ok()? * factor;
        rest = &after[unit.len()..];
    }
    // Go takes a bare 0; it is refused as too short, not as unreadable.
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        let cases =
            [("2s", 2000), ("500ms", 500), ("1m30s", 90_000), ("1.5h", 5_400_000), ("1h0m0.5s", 3_600_500)];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("7µs"), parse("7us"));
        assert_eq!(parse("3ns"), Ok(Duration::from_nanos(3)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2",
            "s",
            "-2s",
            "2 s",
            "1.2.3s",
            "2x",
            "inf",
            "0s",
            "2s5",
            ".s",
            "1e9s",
            "9999999999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
