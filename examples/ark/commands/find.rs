use etcd_ark::{Escaped, KeyValue};

use super::{describe, unlock};
use crate::args::Find;
use crate::failure::{Exit, Failure};
use crate::output::{Format, Output, json_line};

pub(super) async fn run(arguments: Find, format: Format) -> Result<(), Failure> {
    let mut archive = unlock::open(&arguments.file, &arguments.unlock).await?;
    let mut records = archive.records(arguments.keys.range());
    let mut any = false;
    while let Some(kvs) = records.next_block().await? {
        let found = kvs.iter().filter(|kv| arguments.takes(kv));
        let lines: String = found.map(|kv| line(kv, format)).collect::<Result<_, _>>()?;
        any |= !lines.is_empty();
        if !Output::Stdout.write(lines.as_bytes())? {
            return Ok(());
        }
    }
    if any { Ok(()) } else { Err(nothing(&arguments)) }
}

fn line(kv: &KeyValue, format: Format) -> Result<String, Failure> {
    match format {
        Format::Simple => Ok(format!("{}\n", Escaped(&kv.key))),
        Format::Json => json_line(&describe::record(kv)),
    }
}

/// As of `grep`, a failure that scripts can tell.
fn nothing(arguments: &Find) -> Failure {
    Failure::new(Exit::Other, format!("{} holds no such key", arguments.file.display()))
}
