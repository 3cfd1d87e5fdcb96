use etcd_ark::backup::{RestoreReport, Undo};

use super::applying::{self, Asking, SoFar};
use super::{plan, unlock};
use crate::args::{Connection, Undo as Arguments};
use crate::connect::connect;
use crate::failure::Failure;
use crate::human::Printable;
use crate::interrupt::Interrupts;
use crate::output::{Format, Output, Report};
use crate::progress::{ProgressLine, Unit};

const NEXT_STEP: &str = "the same undo again goes on: what is put back already is left as it is";

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    arguments.consent.check()?;
    let so_far = SoFar::new(NEXT_STEP);
    let undoing = undo(&arguments, connection, &so_far);
    let report = interrupts.end(undoing, || so_far.interrupted()).await?;
    let path = Report::default().text("path", arguments.undo.display());
    Output::Stdout.print(&path.and(applying::describe(&report)), format)?;
    applying::check_done(&report)
}

async fn undo(
    arguments: &Arguments,
    connection: &Connection,
    so_far: &SoFar,
) -> Result<RestoreReport, Failure> {
    let mut saved = unlock::open(&arguments.undo, &arguments.unlock).await?;
    let mut restored = unlock::open(&arguments.restored, &arguments.unlock).await?;
    let client = connect(connection).await?;
    let (line, noted) = (ProgressLine::new(Unit::Keys), so_far.clone());
    let undo = Undo::new().select(arguments.keys.selection()?).on_progress(move |progress| {
        noted.note(progress);
        line.show(progress);
    });
    let planned = undo.plan(&client, &mut saved, &mut restored).await?;
    let target = planned.summary().target;
    let shown = format!(
        "Undo a restore of {} in cluster {} at {}, revision {}.\n{}",
        arguments.restored.display(),
        target.cluster_id,
        connection.endpoints.join(", "),
        target.revision,
        plan::numbers(planned.summary()),
    );
    let shown = Printable(shown.as_bytes()).to_string();
    applying::confirm_and_apply(planned, &shown, Asking { consent: arguments.consent, more: false }, so_far)
        .await
}
