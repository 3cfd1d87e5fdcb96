use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;

use etcd_ark::ClusterId;
use etcd_ark::archive::LostKeys;
use etcd_ark::backup::{Restore, RestoreReport};

use super::applying::{self, Asking, SoFar};
use super::origin::Origin;
use super::saved_undo::SavedUndo;
use super::{plan, stdin, unlock, users};
use crate::args::{Connection, Plan, Restore as Arguments};
use crate::connect::connect;
use crate::failure::Failure;
use crate::human;
use crate::interrupt::Interrupts;
use crate::output::{Format, Output, Report};

const NEXT_STEP: &str = "the same restore again goes on: what is written already is left as it is";

/// What a restore has come to.
#[derive(Debug)]
struct Done {
    source: Report,
    cluster_id: ClusterId,
    report: RestoreReport,
    undo: Option<SavedUndo>,
    /// What an archive that was damaged no longer holds.
    lost: Vec<LostKeys>,
    /// What was done about users and roles.
    users: Report,
}

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    arguments.writing.consent.check()?;
    let so_far = SoFar::new(NEXT_STEP);
    let restoring = restore(&arguments, connection, &so_far);
    let done = interrupts.end(restoring, || so_far.interrupted()).await?;
    let outcome = applying::check_done(&done.report);
    Output::Stdout.print(&describe(&arguments, done), format)?;
    outcome
}

async fn restore(arguments: &Arguments, connection: &Connection, so_far: &SoFar) -> Result<Done, Failure> {
    let mut origin = Origin::open(&arguments.plan).await?;
    let (header, lost, auth) = (origin.header().cloned(), origin.lost().to_vec(), origin.auth().await?);
    let source = describe_source(&arguments.plan, &origin);
    let client = connect(connection).await?;
    let users = users::plan(&arguments.users, &client, auth.as_ref()).await?;
    let undo = saved_undo(arguments);
    let restore = as_told(arguments, undo.as_ref(), so_far)?;
    let planned = origin.plan(&restore, &client).await?;
    let undo = undo.filter(|_| !planned.summary().is_nothing());
    let cluster_id = planned.summary().target.cluster_id;
    let shown = plan::shown(&arguments.plan, connection, header.as_ref(), &lost, planned.summary());
    let shown = shown + &users::shown(users.as_ref());
    let asking = Asking { consent: arguments.writing.consent, more: users.is_some() };
    let report = applying::confirm_and_apply(planned, &shown, asking, so_far).await?;
    let users = users::apply(users).await?;
    Ok(Done { source, cluster_id, report, undo, lost, users })
}

/// What comes through a pipe is gone then, and `ark undo` takes no damaged archive.
fn saved_undo(arguments: &Arguments) -> Option<SavedUndo> {
    let plan = &arguments.plan;
    let archived = !plan.salvage && !stdin::is_meant(&plan.file);
    SavedUndo::told(&arguments.undo, plan.how.mode, &stem(&plan.file), archived)
}

fn as_told(arguments: &Arguments, undo: Option<&SavedUndo>, so_far: &SoFar) -> Result<Restore, Failure> {
    let restore = applying::as_told(plan::restore(&arguments.plan)?, &arguments.writing, so_far);
    let restore = undo.into_iter().fold(restore, |restore, undo| undo.save(restore));
    unlock::undo_encrypted(restore, &arguments.plan.unlock)
}

/// What the archive is called, as a part of another name.
fn stem(archive: &Path) -> Cow<'_, str> {
    let stem = if stdin::is_meant(archive) { None } else { archive.file_stem() };
    stem.map_or("restore".into(), OsStr::to_string_lossy)
}

/// Where the keys come from: a part of the record of what was done.
fn describe_source(arguments: &Plan, origin: &Origin) -> Report {
    let report = Report::default()
        .text("path", arguments.file.display())
        .text("mode", plan::mode_name(arguments.how.mode.into()))
        .text("started", human::time(human::now()))
        .and(plan::describe_source(origin.header()));
    match origin.summary() {
        Some(summary) => report
            .text("archive_root", summary.archive_root)
            .text("archive_content_root", summary.content_root),
        None => report,
    }
}

fn describe(arguments: &Arguments, done: Done) -> Report {
    let report = done.source.text("cluster_id", done.cluster_id).and(applying::describe(&done.report));
    let report = plan::with_lost(report, &arguments.plan, done.lost).and(done.users);
    report.and(done.undo.as_ref().map(SavedUndo::describe).unwrap_or_default())
}
