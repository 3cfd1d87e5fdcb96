use etcd_ark::Header;
use etcd_ark::backup::{Restore, RestoreReport};

use super::applying::{self, Asking, SoFar};
use super::saved_undo::SavedUndo;
use super::{plan, unlock};
use crate::args::{Connection, Copy as Arguments};
use crate::connect::connect;
use crate::failure::Failure;
use crate::human;
use crate::interrupt::Interrupts;
use crate::output::{Format, Output, Report, Value};

const NEXT_STEP: &str = "the same copy again goes on with what the source holds then; --mode replace also writes over what was \
     copied and has changed there since";

/// What a copy has come to.
#[derive(Debug)]
struct Done {
    source: Header,
    target: Header,
    report: RestoreReport,
    undo: Option<SavedUndo>,
}

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    arguments.writing.consent.check()?;
    let so_far = SoFar::new(NEXT_STEP);
    let copying = copy(&arguments, connection, &so_far);
    let done = interrupts.end(copying, || so_far.interrupted()).await?;
    Output::Stdout.print(&describe(&arguments, &done), format)?;
    applying::check_done(&done.report)
}

async fn copy(arguments: &Arguments, from: &Connection, so_far: &SoFar) -> Result<Done, Failure> {
    let to = arguments.to.connection(from)?;
    let undo = SavedUndo::told(&arguments.undo, arguments.how.mode, "copy", false);
    let restore = as_told(arguments, undo.as_ref(), so_far)?;
    let source = connect(from).await?;
    let client = connect(&to)
        .await
        .map_err(|failure| failure.help("this is about the target: --to-endpoints and so on"))?;
    let planned = restore.plan_copy(&source, &client).await?;
    let summary = planned.summary();
    let undo = undo.filter(|_| !summary.is_nothing());
    let (source, target) = (planned.source().unwrap_or(summary.target), summary.target);
    let first = format!(
        "Copy {} keys of cluster {} at {}, revision {},",
        human::count(summary.writes()),
        source.cluster_id,
        from.endpoints.join(", "),
        source.revision,
    );
    let shown = plan::shown_below(&first, "", &arguments.how, &to, summary);
    let asking = Asking { consent: arguments.writing.consent, more: false };
    let report = applying::confirm_and_apply(planned, &shown, asking, so_far).await?;
    Ok(Done { source, target, report, undo })
}

fn as_told(arguments: &Arguments, undo: Option<&SavedUndo>, so_far: &SoFar) -> Result<Restore, Failure> {
    let restore = applying::as_told(plan::as_told(&arguments.how)?, &arguments.writing, so_far);
    let restore = undo.into_iter().fold(restore, |restore, undo| undo.save(restore));
    unlock::copy_undo_encrypted(restore, &arguments.encrypt)
}

fn describe(arguments: &Arguments, done: &Done) -> Report {
    Report::default()
        .text("mode", plan::mode_name(arguments.how.mode.into()))
        .text("source_cluster_id", done.source.cluster_id)
        .with("source_revision", Value::Number(done.source.revision.0))
        .text("cluster_id", done.target.cluster_id)
        .and(applying::describe(&done.report))
        .and(done.undo.as_ref().map(SavedUndo::describe).unwrap_or_default())
}
