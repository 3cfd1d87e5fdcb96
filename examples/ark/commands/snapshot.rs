use std::time::Instant;

use etcd_ark::{Client, Member, Status};
use futures_util::TryStreamExt;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::sink::{self, Sink};
use super::squeeze::Squeeze;
use crate::args::{Connection, Save, Target};
use crate::connect::connect;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::output::{Format, Report, Value};
use crate::progress::{ProgressLine, Unit};

/// Snapshots come in pieces of 32 KiB, each of which would be a write of its own.
const WRITE_BYTES: usize = 1 << 20;

/// What was saved, and whose it is.
#[derive(Debug)]
struct Saved {
    endpoint: String,
    status: Status,
    database_bytes: u64,
    file_bytes: u64,
}

pub(super) async fn save(
    arguments: Save,
    connection: &Connection,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    let began = Instant::now();
    let target = &arguments.file;
    let making = make(&arguments, connection);
    let (saved, sink) = interrupts.end(making, || sink::interrupted(target)).await?;
    // As for a backup: an interruption now would leave open whether the file is there.
    sink.commit().await?;
    let report = describe(&saved, target).with("seconds", Value::Seconds(began.elapsed()));
    sink::output(target).print(&report, format)
}

async fn make(arguments: &Save, connection: &Connection) -> Result<(Saved, Sink), Failure> {
    let mut sink = Sink::open(&arguments.file).await?;
    let client = connect(connection).await?;
    let member = first_member(&client)?;
    let status = member.status().await?;
    let squeeze = if arguments.compress { Squeeze::zstd().map_err(cannot_write)? } else { Squeeze::None };
    let (database_bytes, file_bytes) = stream(&member, &status, squeeze, &mut sink).await?;
    Ok((Saved { endpoint: member.endpoint().to_string(), status, database_bytes, file_bytes }, sink))
}

fn first_member(client: &Client) -> Result<Member, Failure> {
    client.members().into_iter().next().ok_or_else(|| Failure::usage("no endpoint was given"))
}

/// Returns how many bytes came, and how many were written. The stream checks its digest at its end.
async fn stream(
    member: &Member,
    status: &Status,
    mut squeeze: Squeeze,
    sink: &mut Sink,
) -> Result<(u64, u64), Failure> {
    let line = ProgressLine::new(Unit::Bytes);
    let mut out = BufWriter::with_capacity(WRITE_BYTES, sink);
    let mut snapshot = member.snapshot().await?;
    let (mut came, mut written) = (0, 0);
    while let Some(chunk) = snapshot.try_next().await? {
        came += chunk.len() as u64;
        line.add_bytes(chunk.len() as u64, Some(status.db_size));
        let squeezed = squeeze.take(chunk).map_err(cannot_write)?;
        written += squeezed.len() as u64;
        out.write_all(&squeezed).await.map_err(cannot_write)?;
    }
    let rest = squeeze.finish().map_err(cannot_write)?;
    out.write_all(&rest).await.map_err(cannot_write)?;
    out.flush().await.map_err(cannot_write)?;
    Ok((came, written + rest.len() as u64))
}

fn cannot_write(error: std::io::Error) -> Failure {
    Failure::new(Exit::Other, format!("cannot write the snapshot: {error}"))
}

fn describe(saved: &Saved, target: &Target) -> Report {
    let path = match target {
        Target::File(path) => Report::default().text("path", path.display()),
        Target::Stream => Report::default(),
    };
    path.with("file_bytes", Value::Bytes(saved.file_bytes))
        .with("database_bytes", Value::Bytes(saved.database_bytes))
        .text("endpoint", &saved.endpoint)
        .text("cluster_id", saved.status.header.cluster_id)
        .text("member_id", saved.status.header.member_id)
        .text("server_version", &saved.status.version)
}
