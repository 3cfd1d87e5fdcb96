use std::path::Path;

use etcd_ark::backup::{self, VerifyReport};
use tokio::fs::File;
use tokio::io::{AsyncRead, stdin};

use super::{describe, unlock};
use crate::args::{Level, Target, Unlock, Verify};
use crate::failure::{Exit, Failure};
use crate::output::{Format, Output, Report, Value};
use crate::progress::{ProgressLine, Unit};

pub(super) async fn run(arguments: Verify, format: Format) -> Result<(), Failure> {
    let report = match (&arguments.file, arguments.level) {
        (Target::File(path), Level::Structure) => {
            return verify_structure(path, &arguments.unlock, format).await;
        }
        (Target::Stream, Level::Structure) => {
            return Err(Failure::usage("the structure alone can be verified only in a file"));
        }
        (Target::File(path), Level::Data) if arguments.unlock.is_given() => {
            unlock::open(path, &arguments.unlock).await?.verify().await?
        }
        (Target::File(path), Level::Data) => verify_file(path).await?,
        (Target::Stream, Level::Data) => verify(stdin(), None).await?,
    };
    Output::Stdout.print(&describe(&report), format)?;
    match report.findings.len() {
        0 => Ok(report.check()?),
        1 => Err(Failure::new(Exit::Corrupt, "the archive is not good: 1 finding")),
        count => Err(Failure::new(Exit::Corrupt, format!("the archive is not good: {count} findings"))),
    }
}

async fn verify_structure(path: &Path, unlock: &Unlock, format: Format) -> Result<(), Failure> {
    let mut archive = unlock::open(path, unlock).await?;
    archive.verify_structure().await?;
    let report = Report::default().with("structure_good", Value::Flag(true));
    let report = report.and(describe::summary(&archive.summary())).and(describe::header(archive.header()));
    Output::Stdout.print(&report, format)
}

async fn verify_file(path: &Path) -> Result<VerifyReport, Failure> {
    let cannot_open = |error| Failure::new(Exit::Other, format!("cannot open {}: {error}", path.display()));
    let file = File::open(path).await.map_err(cannot_open)?;
    let len = file.metadata().await.map_err(cannot_open)?.len();
    verify(file, Some(len)).await
}

async fn verify(reader: impl AsyncRead + Unpin + Send, len: Option<u64>) -> Result<VerifyReport, Failure> {
    let line = ProgressLine::new(Unit::Bytes);
    Ok(backup::verify(line.watch(reader, len)).await?)
}

/// What a whole archive says about itself; of one that is not, what is good of it.
fn describe(report: &VerifyReport) -> Report {
    let good = Report::default().with("good", Value::Flag(report.is_good()));
    let held = match &report.summary {
        Some(summary) if report.is_good() => describe::summary(summary),
        _ => Report::default()
            .with("good_keys", Value::Count(report.records))
            .with("good_bytes", Value::Bytes(report.bytes))
            .with("good_blocks", Value::Count(report.blocks)),
    };
    good.and(held)
        .with("leases", Value::Count(report.leases.len() as u64))
        .and(report.header.as_ref().map(describe::header).unwrap_or_default())
        .with("findings", Value::Findings(report.findings.clone()))
        .with("lost", Value::Lost(report.lost.clone()))
}
