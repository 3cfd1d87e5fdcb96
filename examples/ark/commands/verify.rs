use std::path::Path;

use etcd_ark::ErrorKind;
use etcd_ark::archive::Fault;
use etcd_ark::backup::{self, AgainstCluster, ArchiveFile, UnequalKeys, VerifyReport};
use tokio::fs::File;
use tokio::io::AsyncRead;

use super::{describe, stdin, unlock};
use crate::args::{Connection, Level, Verify};
use crate::connect::connect;
use crate::failure::{Exit, Failure};
use crate::human;
use crate::output::{Format, Output, Report, Value};
use crate::progress::{ProgressLine, Unit};

pub(super) async fn run(arguments: Verify, connection: &Connection, format: Format) -> Result<(), Failure> {
    let (report, outcome) = match arguments.level {
        Level::Data if !arguments.unlock.is_given() && !arguments.against_cluster => {
            verdict(&read_through(&arguments.file).await?)
        }
        _ => check(&arguments, connection).await?,
    };
    Output::Stdout.print(&report, format)?;
    outcome
}

/// Of an archive that has to be opened.
async fn check(
    arguments: &Verify,
    connection: &Connection,
) -> Result<(Report, Result<(), Failure>), Failure> {
    let mut archive = unlock::open(&arguments.file, &arguments.unlock).await?;
    let (report, outcome) = match arguments.level {
        Level::Structure => (check_structure(&mut archive).await?, Ok(())),
        Level::Data => verdict(&archive.verify().await?),
    };
    if !arguments.against_cluster || outcome.is_err() {
        return Ok((report, outcome));
    }
    let against = against_cluster(&mut archive, connection).await?;
    Ok((report.and(describe_against(&archive, &against)), agreement(&against)))
}

async fn check_structure(archive: &mut ArchiveFile) -> Result<Report, Failure> {
    archive.verify_structure().await?;
    let report = Report::default().with("structure_good", Value::Flag(true));
    Ok(report.and(describe::summary(&archive.summary())).and(describe::header(archive.header())))
}

async fn against_cluster(
    archive: &mut ArchiveFile,
    connection: &Connection,
) -> Result<AgainstCluster, Failure> {
    let client = connect(connection).await?;
    archive.verify_against(&client).await.map_err(|error| match error.kind() {
        // Another advice than where a backup meets a compaction.
        ErrorKind::Compacted => Failure::new(Exit::SourceChanged, error.to_string())
            .help("compare soon after the backup; ark diff compares with what the cluster holds now"),
        _ => error.into(),
    })
}

fn describe_against(archive: &ArchiveFile, against: &AgainstCluster) -> Report {
    let unequal = |keys: &UnequalKeys| {
        Report::default()
            .text("range", &keys.range)
            .with("changed", Value::Count(keys.changed))
            .with("missing", Value::Count(keys.missing))
            .with("extra", Value::Count(keys.extra))
    };
    Report::default()
        .with("cluster_agrees", Value::Flag(against.unequal.is_empty()))
        .text("asked_member_id", against.member_id)
        .with("asked_another_member", Value::Flag(against.member_id != archive.header().member_id))
        .text("cluster_content_root", against.content_root)
        .with("same", Value::Count(against.same))
        .with("unequal", Value::List(against.unequal.iter().map(unequal).collect()))
}

fn agreement(against: &AgainstCluster) -> Result<(), Failure> {
    let count = |keys: &UnequalKeys| keys.changed + keys.missing + keys.extra;
    match against.unequal.iter().map(count).sum() {
        0 => Ok(()),
        keys => {
            let what = format!("the cluster held other keys at that revision: {} differ", human::count(keys));
            Err(Failure::new(Exit::Corrupt, what).help(
                "the archive is as it was written, so members disagree, or one has lost data: compare \
                 `etcdctl endpoint hashkv --cluster`, and verify against each member",
            ))
        }
    }
}

fn verdict(report: &VerifyReport) -> (Report, Result<(), Failure>) {
    let outcome = match report.findings.len() {
        _ if report.findings.iter().any(|finding| finding.fault == Fault::Encrypted) => {
            Err(Failure::new(Exit::Auth, "the archive is encrypted").help(unlock::ADVICE))
        }
        0 => report.check().map_err(Failure::from),
        1 => Err(Failure::new(Exit::Corrupt, "the archive is not good: 1 finding")),
        count => Err(Failure::new(Exit::Corrupt, format!("the archive is not good: {count} findings"))),
    };
    (describe(report), outcome)
}

async fn read_through(path: &Path) -> Result<VerifyReport, Failure> {
    if stdin::is_meant(path) {
        return verify(tokio::io::stdin(), None).await;
    }
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
