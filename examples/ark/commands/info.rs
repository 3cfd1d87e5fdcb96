use super::{describe, unlock};
use crate::args::Info;
use crate::failure::Failure;
use crate::output::{Format, Output};

pub(super) async fn run(arguments: Info, format: Format) -> Result<(), Failure> {
    let mut archive = unlock::open(&arguments.file, &arguments.unlock).await?;
    let report = describe::summary(&archive.summary()).and(describe::header(archive.header()));
    let report = match archive.auth().await? {
        Some(auth) => report.and(describe::auth(&auth)),
        None => report,
    };
    let report = match archive.members().await? {
        Some(members) => report.and(describe::members(&members)),
        None => report,
    };
    let report = match archive.options().await? {
        Some(options) => report.and(describe::options(&options)),
        None => report,
    };
    Output::Stdout.print(&report, format)
}
