use std::time::Instant;

use etcd_ark::{Client, Member, Status};
use futures_util::TryStreamExt;
use tokio::io::AsyncWriteExt;

use super::sink::{self, Sink};
use crate::args::{Connection, Save, Target};
use crate::connect::connect;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::output::{Format, Report, Value};
use crate::progress::{ProgressLine, Unit};

/// What was saved, and whose it is.
#[derive(Debug)]
struct Saved {
    endpoint: String,
    status: Status,
    bytes: u64,
}

pub(super) async fn save(
    arguments: Save,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    let began = Instant::now();
    let target = &arguments.file;
    let making = make(target, connection);
    let (saved, sink) = interrupts.end(making, || sink::interrupted(target)).await?;
    // As for a backup: an interruption now would leave open whether the file is there.
    sink.commit().await?;
    let report = describe(&saved, target).with("seconds", Value::Seconds(began.elapsed()));
    sink::output(target).print(&report, format)
}

async fn make(target: &Target, connection: &Connection) -> Result<(Saved, Sink), Failure> {
    let mut sink = Sink::open(target).await?;
    let client = connect(connection).await?;
    let member = first_member(&client)?;
    let status = member.status().await?;
    let bytes = stream(&member, &status, &mut sink).await?;
    Ok((Saved { endpoint: member.endpoint().to_string(), status, bytes }, sink))
}

fn first_member(client: &Client) -> Result<Member, Failure> {
    client.members().into_iter().next().ok_or_else(|| Failure::usage("no endpoint was given"))
}

/// Returns how many bytes it was. The stream checks its digest at its end.
async fn stream(member: &Member, status: &Status, sink: &mut Sink) -> Result<u64, Failure> {
    let line = ProgressLine::new(Unit::Bytes);
    let mut snapshot = member.snapshot().await?;
    let mut bytes = 0;
    while let Some(chunk) = snapshot.try_next().await? {
        sink.write_all(&chunk).await.map_err(cannot_write)?;
        bytes += chunk.len() as u64;
        line.add_bytes(chunk.len() as u64, Some(status.db_size));
    }
    sink.flush().await.map_err(cannot_write)?;
    Ok(bytes)
}

fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(Exit::Other, format!("cannot write the snapshot: {error}"))
}

fn describe(saved: &Saved, target: &Target) -> Report {
    let path = match target {
        Target::File(path) => Report::default().text("path", path.display()),
        Target::Stream => Report::default(),
    };
    path.with("file_bytes", Value::Bytes(saved.bytes))
        .text("endpoint", &saved.endpoint)
        .text("cluster_id", saved.status.header.cluster_id)
        .text("member_id", saved.status.header.member_id)
        .text("server_version", &saved.status.version)
}
