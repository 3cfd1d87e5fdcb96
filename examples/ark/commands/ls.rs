use etcd_ark::{Escaped, KeyValue};

use super::{describe, unlock};
use crate::args::Ls;
use crate::failure::Failure;
use crate::output::{Format, Output, json_line};

pub(super) async fn run(arguments: Ls, format: Format) -> Result<(), Failure> {
    let mut archive = unlock::open(&arguments.file, &arguments.unlock).await?;
    let mut records = archive.records(arguments.keys.range());
    while let Some(kvs) = records.next_block().await? {
        let lines: String = kvs.iter().map(|kv| line(kv, format)).collect::<Result<_, _>>()?;
        if !Output::Stdout.write(lines.as_bytes())? {
            break;
        }
    }
    Ok(())
}

fn line(kv: &KeyValue, format: Format) -> Result<String, Failure> {
    match format {
        Format::Simple => Ok(format!("{}\n", Escaped(&kv.key))),
        Format::Json => json_line(&describe::record(kv)),
    }
}
