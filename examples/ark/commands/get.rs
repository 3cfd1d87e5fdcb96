use std::io::{self, IsTerminal};

use etcd_ark::{Escaped, KeyValue};

use super::{describe, unlock};
use crate::args::Get;
use crate::failure::{Exit, Failure};
use crate::human::Printable;
use crate::output::{Format, Output};

pub(super) async fn run(arguments: Get, format: Format) -> Result<(), Failure> {
    let mut archive = unlock::open(&arguments.file, &arguments.unlock).await?;
    let found = archive.get(arguments.key.0.clone()).await?;
    let kv = found.ok_or_else(|| not_found(&arguments))?;
    match format {
        Format::Json => Output::Stdout.print(&describe::record_with_value(&kv), format),
        Format::Simple => Output::Stdout.write(&shown(kv)).map(drop),
    }
}

/// The value as it is, unless a terminal would take it for commands.
fn shown(kv: KeyValue) -> Vec<u8> {
    if io::stdout().is_terminal() { format!("{}\n", Printable(&kv.value)).into() } else { kv.value.into() }
}

fn not_found(arguments: &Get) -> Failure {
    let (path, key) = (arguments.file.display(), Escaped(&arguments.key.0));
    Failure::new(Exit::Other, format!("{path} holds no key {key}"))
        .help(format!("ark ls {path} lists the keys; write this one as it is shown there"))
}
