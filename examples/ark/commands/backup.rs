use etcd_ark::backup::{Backup, BackupReport};

use super::{describe, sink, unlock};
use crate::args::{Backup as Arguments, Connection, Target};
use crate::connect::connect;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output::{Format, Report, Value};
use crate::progress::{ProgressLine, Unit};
use sink::Sink;

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    let target = &arguments.output;
    let making = make(&arguments, connection);
    let (report, sink) = interrupts.end(making, || sink::interrupted(target)).await?;
    // From here on it is a matter of moments: an interruption would leave open whether the file is there.
    sink.commit().await?;
    sink::output(target).print(&describe(&report, target), format)
}

async fn make(arguments: &Arguments, connection: &Connection) -> Result<(BackupReport, Sink), Failure> {
    let mut sink = Sink::open(&arguments.output).await?;
    let client = connect(connection).await?;
    let line = ProgressLine::new(Unit::Keys);
    let backup = Backup::new().range(arguments.keys.range()).on_progress(move |progress| line.show(progress));
    let backup = unlock::encrypted(backup, &arguments.encrypt)?.restarts(arguments.restarts);
    let backup = backup.concurrency(arguments.concurrency.get());
    let backup =
        arguments.rate.into_iter().fold(backup, |backup, mib| backup.rate_limit(u64::from(mib.get()) << 20));
    let backup = if arguments.via_snapshot { backup.via_snapshot() } else { backup };
    let report = match &mut sink {
        Sink::File(file) => backup.fill(&client, file).await?,
        Sink::Stdout(stdout) => backup.write_to(&client, stdout).await?,
    };
    Ok((report, sink))
}

fn describe(report: &BackupReport, target: &Target) -> Report {
    describe::path(target)
        .and(describe::summary(&report.summary))
        .with("leases", Value::Count(report.leases))
        .and(describe::header(&report.header))
        .and(describe::auth(&report.auth))
        .and(describe::members(&report.members))
        .and(describe::options(&report.options))
        .with("restarts", Value::Count(report.restarts.into()))
        .with("seconds", Value::Seconds(report.elapsed))
}
