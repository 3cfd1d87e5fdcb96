use etcd_ark::backup::ArchiveFile;

use super::describe;
use crate::args::Info;
use crate::failure::Failure;
use crate::output::{Format, Output};

pub(super) async fn run(arguments: Info, format: Format) -> Result<(), Failure> {
    let archive = ArchiveFile::open(&arguments.file).await?;
    let report = describe::summary(&archive.summary()).and(describe::header(archive.header()));
    Output::Stdout.print(&report, format)
}
