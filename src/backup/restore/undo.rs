//! Saving what a restore is going to change, so that it can be undone.

use std::path::PathBuf;

use super::Restore;
use super::plan::Decided;
use super::saved::{got, no_range, written};
use crate::archive::{BackupOption, Compression, Options};
use crate::backup::create::Backup;
use crate::backup::output::Output;
use crate::backup::pipeline::Pipeline;
use crate::client::Client;
use crate::error::Result;
use crate::store::PendingFile;
use crate::stream::ScanPage;
use crate::types::{self, KeyValue, Revision};

/// How many keys are taken to an archive at once.
const PORTION: usize = 256;

/// Where it is saved. The files have no names before they are committed.
#[derive(Debug, Default)]
pub(super) struct UndoFiles {
    before: Option<PendingFile>,
    written: Option<PendingFile>,
}

impl UndoFiles {
    pub(super) async fn begin(restore: &Restore) -> Result<Self> {
        Ok(Self {
            before: begin(restore.undo.as_ref()).await?,
            written: begin(restore.written.as_ref()).await?,
        })
    }

    pub(super) async fn commit(self) -> Result<()> {
        for file in [self.before, self.written].into_iter().flatten() {
            file.commit().await?;
        }
        Ok(())
    }
}

async fn begin(path: Option<&PathBuf>) -> Result<Option<PendingFile>> {
    match path {
        Some(path) => PendingFile::create(path).await.map(Some),
        None => Ok(None),
    }
}

/// What a restore changes, as it is saved.
pub(super) struct UndoWriter<'w> {
    before: Option<Saving<'w>>,
    written: Option<Saving<'w>>,
}

impl<'w> UndoWriter<'w> {
    pub(super) async fn begin(
        client: &Client,
        pinned: types::Header,
        files: &'w mut UndoFiles,
        restore: &Restore,
    ) -> Result<Self> {
        let before = Saving::begin(client, pinned, files.before.as_mut(), restore, None).await?;
        let written = Saving::begin(client, pinned, files.written.as_mut(), restore, Some(written())).await?;
        Ok(Self { before, written })
    }

    /// Takes a key that is going to be changed.
    pub(super) async fn save(&mut self, key: Decided) -> Result<()> {
        if let (Some(written), Some(kv)) = (&mut self.written, &key.archived) {
            written.save(kv.clone()).await?;
        }
        match (&mut self.before, key.found.or(key.archived.map(absent))) {
            (Some(before), Some(kv)) => before.save(kv).await,
            _ => Ok(()),
        }
    }

    pub(super) async fn finish(self, client: &Client) -> Result<()> {
        for saving in [self.before, self.written].into_iter().flatten() {
            saving.finish(client).await?;
        }
        Ok(())
    }
}

/// An archive of changed keys in the making.
struct Saving<'w> {
    pipeline: Pipeline<'w, PendingFile>,
    pinned: types::Header,
    options: Options,
    gathered: Vec<KeyValue>,
}

impl<'w> Saving<'w> {
    async fn begin(
        client: &Client,
        pinned: types::Header,
        file: Option<&'w mut PendingFile>,
        restore: &Restore,
        holds: Option<BackupOption>,
    ) -> Result<Option<Self>> {
        let Some(file) = file else { return Ok(None) };
        let backup = Backup::new().range(no_range());
        let header = Box::pin(backup.header(client, pinned)).await;
        let output = Output::new(file);
        #[cfg(feature = "encrypt")]
        let output = output.encrypted(restore.encrypt_undo.as_ref())?;
        let pipeline = Pipeline::begin(&header, Compression::default(), output).await?;
        let options = Options { options: holds.into_iter().chain([got(restore.leases)]).collect() };
        Ok(Some(Self { pipeline, pinned, options, gathered: Vec::new() }))
    }

    async fn save(&mut self, kv: KeyValue) -> Result<()> {
        self.gathered.push(kv);
        if self.gathered.len() < PORTION { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<()> {
        let kvs = std::mem::take(&mut self.gathered);
        self.pipeline.take(ScanPage { header: self.pinned, total: 0, kvs }).await.map(drop)
    }

    async fn finish(mut self, client: &Client) -> Result<()> {
        self.flush().await?;
        Box::pin(self.pipeline.leases(client)).await?;
        self.pipeline.options(&self.options).await?;
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
