use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcd_ark::archive::LostKeys;
use etcd_ark::backup::{Phase, Progress, Restore, RestoreMode, RestoreReport};
use etcd_ark::{Client, ClusterId, ListMembers};
use tokio::task::spawn_blocking;

use super::origin::Origin;
use crate::args::{Connection, Mode, Restore as Arguments};
use crate::connect::connect;
use crate::failure::{Exit, Failure};
use crate::human::{self, Printable};
use crate::interrupt::Interrupts;
use crate::output::{Format, Output, Report, Value};
use crate::progress::{ProgressLine, Unit};

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    if !arguments.yes && !can_ask() {
        return Err(Failure::usage("a restore wants to be confirmed, and there is no terminal to ask on")
            .help("say --yes"));
    }
    let so_far = SoFar::default();
    let restoring = restore(&arguments, connection, &so_far);
    let restored = interrupts.end(restoring, || so_far.interrupted(arguments.mode)).await?;
    Output::Stdout.print(&describe(&arguments, restored), format)
}

/// What was written, where to, and what an archive that was damaged no longer holds.
#[derive(Debug)]
struct Restored {
    cluster_id: ClusterId,
    report: RestoreReport,
    lost: Vec<LostKeys>,
}

async fn restore(
    arguments: &Arguments,
    connection: &Connection,
    so_far: &SoFar,
) -> Result<Restored, Failure> {
    let mut origin = Origin::open(arguments).await?;
    let client = connect(connection).await?;
    let cluster_id = client.send(ListMembers::new()).await?.header.cluster_id;
    if !arguments.yes {
        confirm(question(arguments, connection, &mut origin, cluster_id).await?).await?;
    }
    let report = apply(arguments, &client, &mut origin, so_far).await?;
    Ok(Restored { cluster_id, report, lost: origin.lost().to_vec() })
}

async fn apply(
    arguments: &Arguments,
    client: &Client,
    origin: &mut Origin,
    so_far: &SoFar,
) -> Result<RestoreReport, Failure> {
    let (line, noted) = (ProgressLine::new(Unit::Keys), so_far.clone());
    let restore = Restore::new(arguments.mode.into()).range(arguments.keys.range());
    let restore = restore.on_progress(move |progress| {
        noted.note(progress);
        line.show(progress);
    });
    origin.apply(&restore, client).await.map_err(|error| {
        let begun = error.may_have_applied() || so_far.has_written();
        let failure = Failure::from(error);
        if begun { failure.with_exit(Exit::Partial).help(arguments.mode.next_step()) } else { failure }
    })
}

impl From<Mode> for RestoreMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Refuse => Self::Refuse,
            Mode::Missing => Self::Missing,
            Mode::Replace => Self::Replace,
        }
    }
}

/// How far a restore has come, for when it is cut off; `None` until it begins to write.
#[derive(Clone, Debug, Default)]
struct SoFar(Arc<Mutex<Option<Progress>>>);

impl SoFar {
    fn writing(&self) -> MutexGuard<'_, Option<Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, progress: Progress) {
        if progress.phase == Phase::Writing {
            *self.writing() = Some(progress);
        }
    }

    fn has_written(&self) -> bool {
        self.writing().is_some_and(|progress| progress.keys > 0)
    }

    fn interrupted(&self, mode: Mode) -> Failure {
        let Some(Progress { keys, total_keys, .. }) = *self.writing() else {
            return Failure::new(Exit::Interrupted, "interrupted; nothing was written");
        };
        let (keys, total) = (human::count(keys), human::count(total_keys.unwrap_or_default()));
        let what =
            format!("interrupted after {keys} of {total} keys; those under way may or may not be written");
        Failure::new(Exit::Partial, what).help(mode.next_step())
    }
}

/// What the user is to agree to.
async fn question(
    arguments: &Arguments,
    connection: &Connection,
    origin: &mut Origin,
    cluster_id: ClusterId,
) -> Result<String, Failure> {
    let keys = origin.count(arguments.keys.range()).await?;
    let source = origin.header().map_or_else(
        || "a backup whose cluster and revision are lost".to_owned(),
        |header| format!("a backup of cluster {} at revision {}", header.cluster_id, header.revision),
    );
    Ok(format!(
        "Restore {} keys of {}, {source},\n\
         to cluster {cluster_id} at {}.\n{}{}",
        human::count(keys),
        arguments.file.display(),
        connection.endpoints.join(", "),
        Report::default().with("lost", Value::Lost(origin.lost().to_vec())),
        arguments.mode.consequence(),
    ))
}

impl Mode {
    /// How to complete a restore that wrote some of its keys.
    fn next_step(self) -> &'static str {
        match self {
            Self::Refuse | Self::Missing => {
                "the same restore with --mode missing writes the keys that are not there"
            }
            Self::Replace => "the same restore again writes all of the keys",
        }
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Refuse => "Mode refuse: nothing is written if the cluster holds any key in the range.",
            Self::Missing => "Mode missing: keys that the cluster holds are left as they are.",
            Self::Replace => "Mode replace: keys that the cluster holds are OVERWRITTEN.",
        }
    }
}

/// Whether there is somebody to read the question and to answer it.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Goes on only after a clear yes.
async fn confirm(question: String) -> Result<(), Failure> {
    let asked = spawn_blocking(move || ask(&question)).await;
    match asked.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Exit::Other, "not confirmed; nothing was written")),
        Err(error) => Err(Failure::new(Exit::Other, format!("cannot ask for confirmation: {error}"))),
    }
}

fn ask(question: &str) -> io::Result<bool> {
    write!(io::stderr(), "{}\nProceed? [y/N] ", Printable(question.as_bytes()))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

fn describe(arguments: &Arguments, restored: Restored) -> Report {
    let Restored { cluster_id, report, lost } = restored;
    let written = Report::default()
        .text("path", arguments.file.display())
        .text("cluster_id", cluster_id)
        .with("written", Value::Count(report.written))
        .with("kept", Value::Count(report.kept))
        .with("bytes", Value::Bytes(report.bytes))
        .with("leases", Value::Count(report.leases))
        .with("revision", Value::Number(report.revision.0))
        .with("seconds", Value::Seconds(report.elapsed));
    if arguments.salvage {
        written.with("unleased", Value::Count(report.unleased)).with("lost", Value::Lost(lost))
    } else {
        written
    }
}
