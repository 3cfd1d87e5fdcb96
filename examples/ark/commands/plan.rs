use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_ark::archive::{Header, LostKeys};
use etcd_ark::backup::{PlanSummary, Restore, RestoreMode, Tallies, Tally};
use etcd_ark::{Client, Escaped, Revision};

use super::origin::Origin;
use crate::args::{Connection, How, Plan as Arguments};
use crate::connect::connect;
use crate::failure::Failure;
use crate::human::{self, Printable};
use crate::output::{Format, Output, Report, Value};
use crate::progress::{ProgressLine, Unit};

/// How many lines by prefix people are shown.
const SHOWN_PREFIXES: usize = 20;

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
) -> Result<(), Failure> {
    let mut origin = Origin::open(&arguments).await?;
    let (header, lost) = (origin.header().cloned(), origin.lost().to_vec());
    let client = connect(connection).await?;
    let line = ProgressLine::new(Unit::Keys);
    let restore = restore(&arguments)?.on_progress(move |progress| line.show(progress));
    let summary = plan_summary(restore, &client, &mut origin).await?;
    match format {
        Format::Json => {
            let report = describe(&arguments.file, header.as_ref(), &summary);
            Output::Stdout.print(&with_lost(report, &arguments, lost), format)
        }
        Format::Simple => {
            let text = shown(&arguments, connection, header.as_ref(), &lost, &summary);
            Output::Stdout.write(text.as_bytes()).map(drop)
        }
    }
}

async fn plan_summary(
    restore: Restore,
    client: &Client,
    origin: &mut Origin,
) -> Result<PlanSummary, Failure> {
    Ok(origin.plan(&restore, client).await?.summary().clone())
}

pub(super) fn restore(arguments: &Arguments) -> Result<Restore, Failure> {
    let restore = as_told(&arguments.how)?;
    Ok(if arguments.any_cluster { restore.any_cluster() } else { restore })
}

/// A restore or a copy of the keys that the flags select.
pub(super) fn as_told(how: &How) -> Result<Restore, Failure> {
    let restore = Restore::new(how.mode.into()).select(how.keys.selection()?);
    let restore = restore.leases(how.leases.into()).lease_ttl(how.lease_ttl.into());
    Ok(how.unchanged_since.map(Revision).into_iter().fold(restore, Restore::unchanged_since))
}

/// The plan of a restore for people, with where from and where to.
pub(super) fn shown(
    arguments: &Arguments,
    connection: &Connection,
    header: Option<&Header>,
    lost: &[LostKeys],
    plan: &PlanSummary,
) -> String {
    let source = header.map_or_else(
        || "a backup whose cluster and revision are lost".to_owned(),
        |header| format!("a backup of cluster {} at revision {}", header.cluster_id, header.revision),
    );
    let first =
        format!("Restore {} keys of {}, {source},", human::count(plan.writes()), arguments.file.display());
    let lost = match arguments.salvage {
        true => Report::default().with("lost", Value::Lost(lost.to_vec())).to_string(),
        false => String::new(),
    };
    shown_below(&first, &lost, &arguments.how, connection, plan)
}

/// A plan for people, below what it begins with.
pub(super) fn shown_below(
    first: &str,
    lost: &str,
    how: &How,
    target: &Connection,
    plan: &PlanSummary,
) -> String {
    let (id, revision) = (plan.target.cluster_id, plan.target.revision);
    let mut text =
        format!("{first}\nto cluster {id} at {}, revision {revision}.\n", target.endpoints.join(", "));
    text += &numbers(plan);
    text += lost;
    let total = &plan.total;
    if total.create.keys + total.update.keys + total.unchanged.keys + total.keep.keys == 0 {
        text +=
            "Note: none of the selected keys are there to be restored; ark ls shows what an archive holds.\n";
    }
    let found = plan.prefixes.iter().map(|(prefix, _)| &prefix[..]);
    for remark in how.keys.select.remarks(found) {
        text += &format!("Note: {remark}.\n");
    }
    text += how.mode.consequence();
    Printable((text + "\n").as_bytes()).to_string()
}

/// What a plan says, for people.
pub(super) fn numbers(plan: &PlanSummary) -> String {
    let mut text = String::new();
    for (name, tally) in named(&plan.total) {
        if tally.keys > 0 {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "  {name:9} {:>12} keys  {}",
                human::count(tally.keys),
                human::bytes(tally.bytes)
            );
        }
    }
    if plan.prefixes.len() > 1 {
        by_prefix(plan, &mut text);
    }
    if let Some(first) = plan.conflicts.first() {
        let _ = writeln!(text, "Different in the cluster and left alone, the first: {}", Escaped(first));
    }
    if let Some(first) = plan.denied_keys.first() {
        let (count, first) = (human::count(plan.denied), Escaped(first));
        let _ = writeln!(text, "The user may not write {count} of them, the first: {first}");
    }
    if !plan.is_nothing() {
        let _ = writeln!(
            text,
            "About {} requests, {} leases, {} if writes go as reads did.",
            human::count(plan.requests),
            human::count(plan.leases),
            human::seconds(plan.estimated)
        );
    }
    text
}

fn by_prefix(plan: &PlanSummary, text: &mut String) {
    for (prefix, tallies) in plan.prefixes.iter().take(SHOWN_PREFIXES) {
        let told = named(tallies).into_iter().filter(|(_, tally)| tally.keys > 0);
        let told: Vec<_> = told.map(|(name, tally)| format!("{name} {}", human::count(tally.keys))).collect();
        let _ = writeln!(text, "  {}: {}", name_of(prefix), told.join(", "));
    }
    if let Some(more) = plan.prefixes.len().checked_sub(SHOWN_PREFIXES).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} prefixes more; -w json lists up to a thousand");
    }
}

fn name_of(prefix: &[u8]) -> String {
    if prefix.is_empty() { "all others".to_owned() } else { Escaped(prefix).to_string() }
}

fn named(tallies: &Tallies) -> [(&'static str, Tally); 6] {
    [
        ("create", tallies.create),
        ("update", tallies.update),
        ("delete", tallies.delete),
        ("unchanged", tallies.unchanged),
        ("keep", tallies.keep),
        ("extra", tallies.extra),
    ]
}

/// The plan for programs.
fn describe(path: &Path, header: Option<&Header>, plan: &PlanSummary) -> Report {
    let report = Report::default()
        .text("path", path.display())
        .text("mode", mode_name(plan.mode))
        .and(describe_source(header))
        .text("cluster_id", plan.target.cluster_id)
        .with("revision", Value::Number(plan.target.revision.0));
    let prefixes = plan.prefixes.iter().map(|(prefix, tallies)| {
        Report::default().text("prefix", BASE64_STANDARD.encode(prefix)).and(describe_tallies(tallies))
    });
    report
        .and(describe_tallies(&plan.total))
        .with("prefixes", Value::Reports(prefixes.collect()))
        .with("conflicts", keys(&plan.conflicts))
        .with("denied", Value::Count(plan.denied))
        .with("denied_keys", keys(&plan.denied_keys))
        .with("leases", Value::Count(plan.leases))
        .with("requests", Value::Count(plan.requests))
        .with("estimated_seconds", Value::Seconds(plan.estimated))
}

/// Which cluster was backed up, and when in its history, if that is known.
pub(super) fn describe_source(header: Option<&Header>) -> Report {
    match header {
        Some(header) => Report::default()
            .text("source_cluster_id", header.cluster_id)
            .with("source_revision", Value::Number(header.revision.0)),
        None => Report::default(),
    }
}

/// The report, with what a damaged archive has lost.
pub(super) fn with_lost(report: Report, arguments: &Arguments, lost: Vec<LostKeys>) -> Report {
    if arguments.salvage { report.with("lost", Value::Lost(lost)) } else { report }
}

pub(super) fn keys(keys: &[bytes::Bytes]) -> Value {
    Value::Texts(keys.iter().map(|key| BASE64_STANDARD.encode(key)).collect())
}

fn describe_tallies(tallies: &Tallies) -> Report {
    named(tallies).into_iter().fold(Report::default(), |report, (name, tally)| {
        let tally =
            Report::default().with("keys", Value::Count(tally.keys)).with("bytes", Value::Bytes(tally.bytes));
        report.with(name, Value::Reports(vec![tally]))
    })
}

pub(super) fn mode_name(mode: RestoreMode) -> String {
    format!("{mode:?}").to_lowercase()
}
