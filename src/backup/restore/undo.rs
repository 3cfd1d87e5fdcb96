//! Saving what a restore is going to change, so that it can be undone.

use std::path::PathBuf;

use super::Restore;
use super::plan::Decided;
use crate::archive::{BackupOption, Compression, Header, Options};
use crate::backup::create::Backup;
use crate::backup::leasing::LeasePolicy;
use crate::backup::output::Output;
use crate::backup::pipeline::Pipeline;
use crate::client::Client;
use crate::error::Result;
use crate::store::PendingFile;
use crate::stream::ScanPage;
use crate::types::{self, KeyRange, KeyValue, Revision};

/// How many keys are taken to the archive at once.
const PORTION: usize = 256;

/// The option that tells which leases the restored keys got.
const LEASES: &str = "leases";

/// What the range of an undo archive says: of no range does it hold every key.
pub(super) fn no_range() -> KeyRange {
    KeyRange::between("\x01", "\x01")
}

/// Whether the archive was made to undo a restore, and is no backup.
pub(super) fn is_undo(header: &Header) -> bool {
    header.range.is_empty()
}

/// Which leases the restored keys got.
pub(super) fn lease_policy(undo: &Options) -> LeasePolicy {
    let told = undo.options.iter().find(|option| option.name == LEASES);
    told.and_then(|option| LeasePolicy::named(&option.value)).unwrap_or_default()
}

/// A key that did not exist, in etcd's own form of one: no revision and no version.
pub(super) fn is_absent(kv: &KeyValue) -> bool {
    kv.create_revision == Revision(0)
}

/// An undo archive in the making.
pub(super) struct UndoWriter<'w> {
    pipeline: Pipeline<'w, PendingFile>,
    pinned: types::Header,
    /// Which leases the restored keys get.
    leases: LeasePolicy,
    gathered: Vec<KeyValue>,
}

impl<'w> UndoWriter<'w> {
    pub(super) async fn begin(
        client: &Client,
        pinned: types::Header,
        file: &'w mut PendingFile,
        restore: &Restore,
    ) -> Result<Self> {
        let backup = Backup::new().range(no_range());
        let header = Box::pin(backup.header(client, pinned)).await;
        let output = Output::new(file);
        #[cfg(feature = "encrypt")]
        let output = output.encrypted(restore.encrypt_undo.as_ref())?;
        let pipeline = Pipeline::begin(&header, Compression::default(), output).await?;
        Ok(Self { pipeline, pinned, leases: restore.leases, gathered: Vec::new() })
    }

    /// Takes what the cluster holds of a key that is going to be changed.
    pub(super) async fn save(&mut self, key: Decided) -> Result<()> {
        self.gathered.extend(key.found.or(key.archived.map(absent)));
        if self.gathered.len() < PORTION { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<()> {
        let kvs = std::mem::take(&mut self.gathered);
        self.pipeline.take(ScanPage { header: self.pinned, total: 0, kvs }).await.map(drop)
    }

    pub(super) async fn finish(mut self, client: &Client) -> Result<()> {
        self.flush().await?;
        Box::pin(self.pipeline.leases(client)).await?;
        let option = BackupOption { name: LEASES.to_owned(), value: self.leases.name().to_owned() };
        self.pipeline.options(&Options { options: vec![option] }).await?;
        self.pipeline.finish().await.map(drop)
    }
}

fn absent(kv: KeyValue) -> KeyValue {
    KeyValue {
        key: kv.key,
        value: bytes::Bytes::new(),
        create_revision: Revision(0),
        mod_revision: Revision(0),
        version: 0,
        lease: None,
    }
}

/// Where an undo archive is to go.
pub(super) async fn begin_file(path: Option<&PathBuf>) -> Result<Option<PendingFile>> {
    match path {
        Some(path) => PendingFile::create(path).await.map(Some),
        None => Ok(None),
    }
}
