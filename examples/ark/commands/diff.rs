use std::process::ExitCode;

use etcd_ark::backup::{ArchiveFile, Diff, DiffSide, Difference};
use etcd_ark::{Client, Escaped, KeyValue};

use super::{describe, unlock};
use crate::args::{Connection, Diff as Arguments, Side, Unlock};
use crate::connect::connect_to;
use crate::failure::{Exit, Failure};
use crate::human;
use crate::output::{Format, Output, Report, Value, json_line};

/// As of `diff`: 0 if they are the same, 1 if they differ, more if that can't be told.
pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
) -> Result<ExitCode, Failure> {
    let counted = compare(&arguments, connection, format).await;
    let counted = counted.map_err(|failure| failure.not_as(Exit::Other, Exit::Usage))?;
    if let Format::Simple = format {
        let Counted { differences, same } = counted;
        let (differences, same) = (human::count(differences), human::count(same));
        Output::Stderr.write(format!("{differences} keys differ, {same} are the same\n").as_bytes())?;
    }
    Ok(if counted.differences == 0 { ExitCode::SUCCESS } else { ExitCode::from(Exit::Other as u8) })
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    differences: u64,
    same: u64,
}

/// A side that is open.
enum Opened {
    Archive(Box<ArchiveFile>),
    Cluster(Client),
}

impl Opened {
    async fn open(side: &Side, unlock: &Unlock, connection: &Connection) -> Result<Self, Failure> {
        Ok(match side {
            Side::Archive(path) => Self::Archive(Box::new(unlock::open(path, unlock).await?)),
            Side::Cluster(endpoints) => {
                let endpoints = endpoints.as_ref().unwrap_or(&connection.endpoints);
                Self::Cluster(connect_to(connection, endpoints).await?)
            }
        })
    }

    fn side(&mut self) -> DiffSide<'_> {
        match self {
            Self::Archive(archive) => DiffSide::Archive(archive),
            Self::Cluster(client) => DiffSide::Cluster(client),
        }
    }
}

async fn compare(arguments: &Arguments, connection: &Connection, format: Format) -> Result<Counted, Failure> {
    let selection = arguments.select.selection()?;
    let mut left = Opened::open(&arguments.left, &arguments.unlock, connection).await?;
    let mut right = Opened::open(&arguments.right, &arguments.unlock, connection).await?;
    let mut diff = Diff::new(left.side(), right.side(), selection).await?;
    let mut differences = 0;
    while let Some(difference) = diff.next().await? {
        differences += 1;
        let line = match format {
            Format::Simple => shown(&difference, arguments.values),
            Format::Json => json_line(&described(&difference, arguments.values))?,
        };
        if !Output::Stdout.write(line.as_bytes())? {
            break;
        }
    }
    Ok(Counted { differences, same: diff.same() })
}

/// `+` for a key that only B holds, `-` for one that only A holds, `~` for one with another value.
fn shown(difference: &Difference, values: bool) -> String {
    let value = |kv: &KeyValue| {
        if values { format!("\"{}\"", Escaped(&kv.value)) } else { format!("{} bytes", kv.value.len()) }
    };
    let key = Escaped(&difference.key);
    match (&difference.left, &difference.right) {
        (Some(left), Some(right)) => format!("~ {key}: {} -> {}\n", value(left), value(right)),
        (Some(left), None) => format!("- {key}: {}\n", value(left)),
        (None, right) => format!("+ {key}: {}\n", right.as_ref().map(value).unwrap_or_default()),
    }
}

fn described(difference: &Difference, values: bool) -> Report {
    let change = match (&difference.left, &difference.right) {
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "removed",
        (None, _) => "added",
    };
    let record = if values { describe::record_with_value } else { describe::record };
    let side = |kv: &Option<KeyValue>| Value::Reports(kv.iter().map(record).collect());
    Report::default()
        .text("change", change)
        .with("a", side(&difference.left))
        .with("b", side(&difference.right))
}
