//! Text made an archive of and written again.

use std::future::Future;
use std::io::Cursor;

use etcd_ark::Result;
use etcd_ark::backup::{ArchiveFile, Export, Import, ImportReport, TextFormat};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().unwrap();
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// What is accepted can be written again, and that makes the same archive.
pub fn check(text: &[u8], format: TextFormat) {
    let Ok((archive, report)) = wait(import(text, format)) else { return };
    let written = wait(export(archive, format)).unwrap();
    let (archive, again) = wait(import(&written, format)).unwrap();
    assert_eq!(report.summary.state_root, again.summary.state_root);
    assert_eq!((report.summary.records, report.leases), (again.summary.records, again.leases));
    assert_eq!(report.header.range, again.header.range);
    assert_eq!(wait(export(archive, format)).unwrap(), written);
}

async fn import(text: &[u8], format: TextFormat) -> Result<(Vec<u8>, ImportReport)> {
    let mut archive = Vec::new();
    let report = Import::new(format).write_to(Cursor::new(text.to_vec()), &mut archive).await?;
    Ok((archive, report))
}

async fn export(archive: Vec<u8>, format: TextFormat) -> Result<Vec<u8>> {
    let mut opened = ArchiveFile::from_reader(Cursor::new(archive)).await?;
    let mut text = Vec::new();
    Export::new(format).write_to(&mut opened, &mut text).await?;
    Ok(text)
}
