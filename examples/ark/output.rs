//! Results: for people as aligned lines, for programs as JSON.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use etcd_ark::archive::{FormatError, LostKeys};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::failure::{Exit, Failure};
use crate::human::{self, Printable};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: sizes with units, names and values aligned.
    #[default]
    Simple,
    /// One JSON object: counts as numbers, ids and hashes as hexadecimal strings.
    Json,
}

/// A value that people and programs see differently.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(u64),
    Count(u64),
    /// What is wrong with an archive, a line each.
    Findings(Vec<FormatError>),
    Flag(bool),
    /// Several things with fields of their own, a line each.
    List(Vec<Report>),
    /// Keys that an archive has lost, a line for each range.
    Lost(Vec<LostKeys>),
    Number(i64),
    /// So many a second.
    Rate(f64),
    /// One after the other.
    Reports(Vec<Report>),
    Seconds(Duration),
    Text(String),
    Texts(Vec<String>),
}

/// What a command has to say: names and values in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report(Vec<(&'static str, Value)>);

impl Report {
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.0.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn text(self, name: &'static str, text: impl fmt::Display) -> Self {
        self.with(name, Value::Text(text.to_string()))
    }

    #[must_use]
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aligned = self
            .0
            .iter()
            .filter(|(_, value)| !matches!(value, Value::Findings(_) | Value::List(_) | Value::Lost(_)));
        let width = aligned.map(|(name, _)| name.len() + 1).max().unwrap_or_default();
        for (name, value) in &self.0 {
            match value {
                Value::Findings(findings) => findings.iter().try_for_each(|finding| {
                    writeln!(f, "at byte {}: {}", finding.offset, finding.fault)?;
                    writeln!(f, "  that is: {}\n  help: {}", finding.meaning(), finding.advice())
                })?,
                Value::List(list) => list_lines(f, name, list)?,
                Value::Lost(lost) => {
                    lost.iter().try_for_each(|lost| writeln!(f, "lost: {}", lost_line(lost)))?
                }
                _ => writeln!(f, "{:width$} {value}", format!("{}:", name.replace('_', " ")))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(number) => f.write_str(&human::bytes(*number)),
            Self::Count(number) => f.write_str(&human::count(*number)),
            Self::Findings(findings) => write!(f, "{}", findings.len()),
            Self::List(list) => write!(f, "{}", list.len()),
            Self::Lost(lost) => write!(f, "{}", lost.len()),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Number(number) => number.fmt(f),
            Self::Rate(rate) => f.write_str(&human::rate(*rate)),
            Self::Reports(reports) => write!(f, "{}", reports.len()),
            Self::Seconds(duration) => f.write_str(&human::seconds(*duration)),
            Self::Text(text) => Printable(text.as_bytes()).fmt(f),
            Self::Texts(texts) => write!(f, "{}", texts.len()),
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(number) | Self::Count(number) => serializer.serialize_u64(*number),
            Self::Findings(findings) => serializer.collect_seq(findings.iter().map(finding)),
            Self::List(list) => serializer.collect_seq(list),
            Self::Lost(lost) => serializer.collect_seq(lost.iter().map(lost_report)),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Rate(rate) => serializer.serialize_f64(*rate),
            Self::Reports(reports) => serializer.collect_seq(reports),
            Self::Seconds(duration) => serializer.serialize_f64(duration.as_secs_f64()),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Texts(texts) => serializer.collect_seq(texts),
        }
    }
}

fn finding(error: &FormatError) -> Report {
    Report::default()
        .with("offset", Value::Count(error.offset))
        .text("frame", error.frame().unwrap_or_default())
        .text("fault", &error.fault)
        .text("meaning", error.meaning())
        .text("help", error.advice())
}

fn list_lines(f: &mut fmt::Formatter<'_>, name: &str, list: &[Report]) -> fmt::Result {
    writeln!(f, "{name}: {}", list.len())?;
    for entry in list {
        let fields = entry.0.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " ")));
        writeln!(f, "  {}", fields.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

fn lost_report(lost: &LostKeys) -> Report {
    let number = |name, number: Option<u64>| match number {
        Some(number) => Report::default().with(name, Value::Count(number)),
        None => Report::default(),
    };
    Report::default()
        .text("range", &lost.range)
        .and(number("blocks", lost.blocks))
        .and(number("keys", lost.records))
}

fn lost_line(lost: &LostKeys) -> String {
    let known = lost.records.map(|keys| format!(", {} keys", human::count(keys)));
    format!("{}{}", lost.range, known.unwrap_or_default())
}

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    Stdout,
    /// While standard output carries an archive.
    Stderr,
}

impl Output {
    /// Writes the report; a reader that has gone is no failure of the command.
    pub(crate) fn print(self, report: &Report, format: Format) -> Result<(), Failure> {
        let text = match format {
            Format::Simple => report.to_string(),
            Format::Json => json_line(report)?,
        };
        self.write(text.as_bytes()).map(drop)
    }

    /// Writes bytes as they are. `false` if the reader has gone, as in `ark ls FILE | head`: time to end quietly.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<bool, Failure> {
        let written = match self {
            Self::Stdout => write_all(&mut io::stdout().lock(), bytes),
            Self::Stderr => write_all(&mut io::stderr().lock(), bytes),
        };
        check(written)
    }
}

fn write_all(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes).and_then(|()| out.flush())
}

fn check(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Other, format!("cannot write the result: {error}"))),
    }
}

/// One line of JSON.
pub(crate) fn json_line(report: &Report) -> Result<String, Failure> {
    let text = serde_json::to_string(report);
    text.map(|text| text + "\n").map_err(|error| Failure::new(Exit::Other, format!("no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::default()
            .with("keys", Value::Count(1234))
            .text("state_root", "ab")
            .text("name", "\x1b")
            .with("findings", Value::Findings(Vec::new()))
    }

    #[test]
    fn people_see_aligned_lines() {
        assert_eq!(report().to_string(), "keys:       1,234\nstate root: ab\nname:       \\x1b\n");
    }

    #[test]
    fn programs_see_the_same_in_the_same_order() {
        let line = json_line(&report()).unwrap();
        assert_eq!(line, "{\"keys\":1234,\"state_root\":\"ab\",\"name\":\"\\u001b\",\"findings\":[]}\n");
    }
}
