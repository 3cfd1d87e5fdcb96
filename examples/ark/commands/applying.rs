//! Applying a plan: asked for, watched, and told about even if it is cut off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcd_ark::Escaped;
use etcd_ark::backup::{Phase, Progress, Restore, RestoreCheck, RestorePlan, RestoreReport};

use super::plan;
use crate::args::{Consent, Writing};
use crate::consent::Answer;
use crate::failure::{Exit, Failure};
use crate::human;
use crate::output::{Output, Report, Value};
use crate::progress::{ProgressLine, Unit};

/// What there is to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) consent: Consent,
    /// Whether there is something to do beside the keys.
    pub(super) more: bool,
}

/// The restore as it is told to write, its progress shown and noted.
pub(super) fn as_told(restore: Restore, writing: &Writing, so_far: &SoFar) -> Restore {
    let (line, noted) = (ProgressLine::new(Unit::Keys), so_far.clone());
    let restore = restore.on_progress(move |progress| {
        noted.note(progress);
        line.show(progress);
    });
    let restore = if writing.no_check { restore.unchecked() } else { restore };
    writing.rate.into_iter().fold(restore, Restore::keys_per_second)
}

/// Shows the plan, asks, and applies it.
pub(super) async fn confirm_and_apply(
    restore: RestorePlan<'_>,
    shown: &str,
    Asking { consent, more }: Asking,
    so_far: &SoFar,
) -> Result<RestoreReport, Failure> {
    Output::Stderr.write(shown.as_bytes())?;
    let summary = restore.summary();
    if (more || !summary.is_nothing()) && !summary.is_refused() && summary.denied == 0 {
        let destroys = summary.total.update.keys + summary.total.delete.keys > 0;
        let id = summary.target.cluster_id.to_string();
        consent.ask(if destroys { Answer::Name(id) } else { Answer::Yes }).await?;
    }
    restore.apply().await.map_err(|error| {
        let begun = error.may_have_applied() || so_far.has_written();
        let failure = Failure::from(error);
        if begun { failure.with_exit(Exit::Partial).help(so_far.next_step()) } else { failure }
    })
}

/// Keys that are not as they were to be make the restore a partial one.
pub(super) fn check_done(report: &RestoreReport) -> Result<(), Failure> {
    let Some(what) = left(report).or_else(|| changed_since(report)) else { return Ok(()) };
    Err(Failure::new(Exit::Partial, what).help("the same command again plans anew with what they hold now"))
}

fn left(report: &RestoreReport) -> Option<String> {
    let first = Escaped(report.left_keys.first()?);
    let left = human::count(report.left);
    Some(format!("{left} keys were written by somebody else meanwhile and left alone, the first {first}"))
}

/// Where nothing was to be kept that differs, everything has to be there at the end.
fn changed_since(report: &RestoreReport) -> Option<String> {
    let check = report.check.as_ref().filter(|check| !check.equal && report.differing == 0)?;
    let changed = human::count(check.different + check.missing);
    Some(format!("{changed} keys were restored and are something else again: somebody writes them, too"))
}

pub(super) fn describe(report: &RestoreReport) -> Report {
    Report::default()
        .with("written", Value::Count(report.written))
        .with("kept", Value::Count(report.kept))
        .with("differing", Value::Count(report.differing))
        .with("deleted", Value::Count(report.deleted))
        .with("left", Value::Count(report.left))
        .with("left_keys", plan::keys(&report.left_keys))
        .with("bytes", Value::Bytes(report.bytes))
        .with("leases", Value::Count(report.leases))
        .with("revision_before", Value::Number(report.before.0))
        .with("revision", Value::Number(report.revision.0))
        .and(report.check.as_ref().map(describe_check).unwrap_or_default())
        .with("seconds", Value::Seconds(report.elapsed))
}

fn describe_check(check: &RestoreCheck) -> Report {
    Report::default()
        .with("checked_revision", Value::Number(check.revision.0))
        .with("same", Value::Count(check.same))
        .with("different", Value::Count(check.different))
        .with("missing", Value::Count(check.missing))
        .text("content_root", check.content_root)
        .with("equal", Value::Flag(check.equal))
}

/// How far it has come, for when it is cut off; `None` until it begins to write.
#[derive(Clone, Debug)]
pub(super) struct SoFar {
    writing: Arc<Mutex<Option<Progress>>>,
    next_step: &'static str,
}

impl SoFar {
    pub(super) fn new(next_step: &'static str) -> Self {
        Self { writing: Arc::default(), next_step }
    }

    pub(super) fn next_step(&self) -> &'static str {
        self.next_step
    }

    fn writing(&self) -> MutexGuard<'_, Option<Progress>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, progress: Progress) {
        if progress.phase == Phase::Writing {
            *self.writing() = Some(progress);
        }
    }

    fn has_written(&self) -> bool {
        self.writing().is_some_and(|progress| progress.keys > 0)
    }

    pub(super) fn interrupted(&self) -> Failure {
        let Some(Progress { keys, total_keys, .. }) = *self.writing() else {
            return Failure::new(Exit::Interrupted, "interrupted; nothing was written");
        };
        let (keys, total) = (human::count(keys), human::count(total_keys.unwrap_or_default()));
        let what =
            format!("interrupted after {keys} of {total} keys; those under way may or may not be written");
        Failure::new(Exit::Partial, what).help(self.next_step)
    }
}
