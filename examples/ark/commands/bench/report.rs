//! What was measured: a table for people, everything for programs.

use super::advice::Advice;
use super::figures::{Measured, Pass, Turn};
use super::rounds::Found;
use super::subject::Subject;
use super::way::Kind;
use crate::human;
use crate::output::{Report, Value};

const HEAD: [&str; 7] = ["way to read", "time", "keys/s", "MiB/s", "pages", "other reads p50", "p99"];

/// What the reading was of.
pub(super) fn about(subject: &Subject) -> Report {
    let versions: Vec<_> = subject.versions.iter().map(String::as_str).collect();
    let report = Report::default().text("range", &subject.range).with("keys", Value::Count(subject.keys));
    let report = report.with("revision", Value::Number(subject.revision.0));
    if versions.is_empty() { report } else { report.text("server_version", versions.join(", ")) }
}

/// For people.
pub(super) fn text(subject: &Subject, found: &Found, advice: &Advice<'_>) -> String {
    let head = HEAD.map(str::to_owned);
    let rows = found.measured.iter().map(|measured| row(subject, measured));
    let table = human::table(&[head].into_iter().chain(rows).collect::<Vec<_>>());
    let missing = found.missing.iter().map(|(kind, why)| format!("not measured: {}: {why}\n", kind.name()));
    let missing: String = missing.collect();
    let advice: String = advice.sentences().iter().map(|sentence| format!("{sentence}\n")).collect();
    format!("{}\n{table}\n{missing}{advice}", about(subject))
}

fn row(subject: &Subject, measured: &Measured) -> [String; HEAD.len()] {
    let is_reading = measured.way.kind != Kind::Nothing;
    let rate = |count: fn(&Pass) -> u64| measured.rate(count).filter(|_| is_reading);
    let pages = measured.middle(|pass| pass.pages as f64).filter(|_| measured.way.kind != Kind::Snapshot);
    let beside = measured.beside();
    let cells = [
        is_reading.then(|| time(subject, measured)),
        rate(|pass| pass.keys).map(human::rate),
        rate(|pass| pass.bytes).map(|rate| format!("{:.1}", rate / f64::from(1 << 20))),
        pages.filter(|_| is_reading).map(human::rate),
        beside.map(|beside| human::brief(beside.p50)),
        beside.map(|beside| human::brief(beside.p99)),
    ];
    let [time, keys, bytes, pages, p50, p99] = cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
    [measured.way.to_string(), time, keys, bytes, pages, p50, p99]
}

/// How long it took, or how far it came.
fn time(subject: &Subject, measured: &Measured) -> String {
    let seconds = human::brief(measured.time());
    if measured.is_complete() {
        return seconds;
    }
    let came = measured.middle(|pass| share(subject, measured.way.kind, pass)).unwrap_or_default();
    format!("{:.0}% in {seconds}", 100.0 * came)
}

/// How much of the whole it is.
fn share(subject: &Subject, kind: Kind, pass: &Pass) -> f64 {
    match (kind, &subject.member) {
        (Kind::Snapshot, Some((_, all))) => pass.bytes as f64 / (*all).max(1) as f64,
        _ => pass.keys as f64 / subject.keys as f64,
    }
}

/// For programs.
pub(super) fn all(subject: &Subject, found: &Found, advice: &Advice<'_>) -> Report {
    let missing = found.missing.iter();
    let missing = missing.map(|(kind, why)| Report::default().text("way", kind.name()).text("why", why));
    about(subject)
        .with("ways", Value::Reports(found.measured.iter().map(way).collect()))
        .with("not_measured", Value::Reports(missing.collect()))
        .with("backup_seconds", Value::Seconds(advice.time()))
        .with("backup_is_a_guess", Value::Flag(!advice.chosen.is_complete()))
        .with("backup_concurrency", Value::Count(advice.chosen.way.concurrency as u64))
        .with("advice", Value::Texts(advice.sentences()))
}

fn way(measured: &Measured) -> Report {
    let kind = measured.way.kind;
    let report = Report::default().text("way", kind.name());
    let report = match kind.is_scan() {
        true => report.with("concurrency", Value::Count(measured.way.concurrency as u64)),
        false => report,
    };
    let report = if kind == Kind::Nothing { report } else { report.and(medians(measured)) };
    report.and(beside(measured))
}

/// The medians, and the turns that they are of.
fn medians(measured: &Measured) -> Report {
    let rate = |count: fn(&Pass) -> u64| Value::Rate(measured.rate(count).unwrap_or_default());
    Report::default()
        .with("complete", Value::Flag(measured.is_complete()))
        .with("seconds", Value::Seconds(measured.time()))
        .with("keys_per_second", rate(|pass| pass.keys))
        .with("bytes_per_second", rate(|pass| pass.bytes))
        .with("turns", Value::Reports(measured.turns.iter().filter_map(turn).collect()))
}

fn beside(measured: &Measured) -> Report {
    let Some(beside) = measured.beside() else { return Report::default() };
    Report::default()
        .with("other_reads", Value::Count(beside.reads))
        .with("other_reads_failed", Value::Count(beside.failed))
        .with("other_reads_p50_seconds", Value::Seconds(beside.p50))
        .with("other_reads_p99_seconds", Value::Seconds(beside.p99))
}

fn turn(turn: &Turn) -> Option<Report> {
    let pass = turn.pass?;
    Some(
        Report::default()
            .with("seconds", Value::Seconds(pass.time))
            .with("complete", Value::Flag(pass.complete))
            .with("keys", Value::Count(pass.keys))
            .with("bytes", Value::Bytes(pass.bytes))
            .with("pages", Value::Count(pass.pages)),
    )
}
