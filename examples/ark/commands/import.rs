use std::fs::File;
use std::io::{self, Read};

use etcd_ark::backup::{Import, ImportReport};

use super::sink::{self, Sink};
use super::{describe, unlock};
use crate::args::{Import as Arguments, Target};
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output::{Format, Report, Value};

pub(super) async fn run(
    arguments: Arguments,
    format: Format,
    interrupts: &mut Interrupts,
) -> Result<(), Failure> {
    let target = &arguments.output;
    let (report, sink) = interrupts.end(make(&arguments), || sink::interrupted(target)).await?;
    sink.commit().await?;
    sink::output(target).print(&describe(&report, target), format)
}

async fn make(arguments: &Arguments) -> Result<(ImportReport, Sink), Failure> {
    let text = open(&arguments.file)?;
    let mut sink = Sink::open(&arguments.output).await?;
    let import = Import::new(arguments.format.into());
    let import = match arguments.keys.given() {
        Some(range) => import.range(range),
        None => import,
    };
    let import = unlock::encrypted_import(import, &arguments.encrypt)?;
    let report = import.write_to(text, &mut sink).await?;
    Ok((report, sink))
}

fn open(file: &Target) -> Result<Box<dyn Read + Send>, Failure> {
    match file {
        Target::Stream => Ok(Box::new(io::stdin())),
        Target::File(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(Failure::usage(format!("cannot open {}: {error}", path.display()))),
        },
    }
}

fn describe(report: &ImportReport, target: &Target) -> Report {
    describe::path(target)
        .and(describe::summary(&report.summary))
        .with("leases", Value::Count(report.leases))
        .and(describe::header(&report.header))
}
