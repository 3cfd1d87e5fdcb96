use std::path::{Path, PathBuf};
use std::time::SystemTime;

use etcd_ark::ClusterId;
use etcd_ark::archive::LostKeys;
use etcd_ark::backup::{Restore, RestoreMode, RestoreReport};

use super::applying::{self, SoFar};
use super::origin::Origin;
use super::plan;
use crate::args::{Connection, Restore as Arguments};
use crate::connect::connect;
use crate::failure::Failure;
use crate::human;
use crate::interrupt::Interrupts;
use crate::output::{Format, Output, Report};
use crate::progress::{ProgressLine, Unit};

const NEXT_STEP: &str = "the same restore again goes on: what is written already is left as it is";

/// What a restore has come to.
#[derive(Debug)]
struct Done {
    cluster_id: ClusterId,
    report: RestoreReport,
    /// Where it can be undone from.
    undo: Option<PathBuf>,
    /// What an archive that was damaged no longer holds.
    lost: Vec<LostKeys>,
}

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    arguments.consent.check()?;
    let so_far = SoFar::new(NEXT_STEP);
    let restoring = restore(&arguments, connection, &so_far);
    let done = interrupts.end(restoring, || so_far.interrupted()).await?;
    Output::Stdout.print(&describe(&arguments, &done), format)?;
    applying::check_left(&done.report)
}

async fn restore(arguments: &Arguments, connection: &Connection, so_far: &SoFar) -> Result<Done, Failure> {
    let mut origin = Origin::open(&arguments.plan).await?;
    let (header, lost) = (origin.header().cloned(), origin.lost().to_vec());
    let client = connect(connection).await?;
    let (line, noted, undo) = (ProgressLine::new(Unit::Keys), so_far.clone(), undo_path(arguments));
    let restore = plan::restore(&arguments.plan)?.on_progress(move |progress| {
        noted.note(progress);
        line.show(progress);
    });
    let restore = undo.iter().fold(restore, |restore, path| restore.save_undo(path));
    let restore = if arguments.no_check { restore.unchecked() } else { restore };
    let restore = arguments.rate.into_iter().fold(restore, Restore::keys_per_second);
    let planned = origin.plan(&restore, &client).await?;
    let undo = undo.filter(|_| !planned.summary().is_nothing());
    let cluster_id = planned.summary().target.cluster_id;
    let shown = plan::shown(&arguments.plan, connection, header.as_ref(), &lost, planned.summary());
    let report = applying::confirm_and_apply(planned, &shown, arguments.consent, so_far).await?;
    Ok(Done { cluster_id, report, undo, lost })
}

/// Where to save what can be undone: as told, or beside nothing of the same name if the mode destroys something.
fn undo_path(arguments: &Arguments) -> Option<PathBuf> {
    let destructive = RestoreMode::from(arguments.plan.mode).is_destructive();
    match &arguments.undo.undo {
        Some(path) => Some(path.clone()),
        None => (destructive && !arguments.undo.no_undo).then(|| default_undo(&arguments.plan.file)),
    }
}

fn default_undo(archive: &Path) -> PathBuf {
    let stem = archive.file_stem().unwrap_or_default().to_string_lossy();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = human::time(now.as_millis().try_into().unwrap_or_default());
    let digits: String = time.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{stem}.undo-{digits}.ark").into()
}

fn describe(arguments: &Arguments, done: &Done) -> Report {
    let report = Report::default()
        .text("path", arguments.plan.file.display())
        .text("cluster_id", done.cluster_id)
        .and(applying::describe(&done.report));
    let report = plan::with_lost(report, &arguments.plan, done.lost.clone());
    match &done.undo {
        Some(path) => report.text("undo", path.display()),
        None => report,
    }
}
