use std::collections::VecDeque;
use std::fmt;
use std::io::SeekFrom;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::progress::Observer;
use super::verify::{VerifyReport, cannot_read, verify_observed};
use crate::archive::{
    Block, BlockEntry, Footer, FormatError, Header, IndexLeaf, IndexRoot, LeafEntry, Summary,
};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyRange, KeyValue};

/// An archive in a file, opened by its footer and index: what is asked for is found without reading
/// the rest.
///
/// What is read is checked against its hashes. That the rest is good too, only
/// [`ArchiveFile::verify`] shows.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::backup::ArchiveFile;
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// println!("{} keys at revision {}", archive.summary().records, archive.header().revision);
/// let config = archive.get("/app/config").await?;
/// # Ok(())
/// # }
/// ```
pub struct ArchiveFile {
    path: PathBuf,
    file: File,
    header: Header,
    summary: Summary,
    index: IndexRoot,
}

impl ArchiveFile {
    /// Opens an archive; reads its header, footer and the top of its index.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file can't be read, [`ErrorKind::Corrupt`] if it is no archive, or an
    /// incomplete or damaged one, [`ErrorKind::Unsupported`] if it needs a newer program.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut file = File::open(&path).await.map_err(|error| cannot_open(&path, error))?;
        let parts = read_ends(&mut file).await.map_err(|error| error.context(path.display()))?;
        let (header, footer, index) = parts;
        Ok(Self { path, file, header, summary: footer.summary(), index })
    }

    /// What was backed up, from where, and when.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How much it is, and its roots.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// One key; `None` if the archive does not hold it. Reads little more than the block that does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn get(&mut self, key: impl Into<Bytes>) -> Result<Option<KeyValue>> {
        let found = self.records(KeyRange::key(key)).next_block().await?;
        Ok(found.and_then(|kvs| kvs.into_iter().next()))
    }

    /// The records of a range, ascending, block by block. Reads only blocks that may hold some.
    pub fn records(&mut self, range: impl Into<KeyRange>) -> RecordReader<'_> {
        let range = range.into();
        let leaves = self.index.leaves_for(&range).cloned().collect();
        RecordReader { archive: self, range, leaves, blocks: VecDeque::new() }
    }

    /// Reads the whole archive and checks all of it; see [`verify`](super::verify()).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if it can't be read.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn verify(&mut self) -> Result<VerifyReport> {
        self.verify_observed(&Observer::default()).await
    }

    pub(super) fn index(&self) -> &IndexRoot {
        &self.index
    }

    pub(super) async fn verify_observed(&mut self, observer: &Observer) -> Result<VerifyReport> {
        self.file.rewind().await.map_err(cannot_read)?;
        verify_observed(&mut self.file, observer).await
    }

    pub(super) async fn read_leaf(&mut self, entry: &LeafEntry) -> Result<IndexLeaf> {
        let bytes = read(&mut self.file, entry.span()).await?;
        self.parsed(IndexLeaf::parse(bytes, entry))
    }

    pub(super) async fn read_block(&mut self, entry: &BlockEntry) -> Result<Block> {
        let bytes = read(&mut self.file, entry.span()).await?;
        self.parsed(Block::parse(bytes, entry))
    }

    fn parsed<T>(&self, outcome: Result<T, FormatError>) -> Result<T> {
        outcome.map_err(|error| Error::from(error).context(self.path.display()))
    }
}

impl fmt::Debug for ArchiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveFile({})", self.path.display())
    }
}

async fn read_ends(file: &mut File) -> Result<(Header, Footer, IndexRoot)> {
    let file_len = file.metadata().await.map_err(cannot_read)?.len();
    let probe = read(file, 0..file_len.min(Header::PROBE_LEN as u64)).await?;
    let header = Header::span(&probe)?;
    let footer = Footer::parse(read(file, Footer::span(file_len)?).await?, file_len)?;
    let header = Header::parse(read(file, header).await?)?;
    let index = IndexRoot::parse(read(file, footer.index_root()).await?, &footer)?;
    Ok((header, footer, index))
}

/// The bytes of a span; fewer if the file ends before, which parsing tells.
///
/// Memory grows with what is read, not with what a damaged index claims.
async fn read(file: &mut File, span: Range<u64>) -> Result<Bytes> {
    file.seek(SeekFrom::Start(span.start)).await.map_err(cannot_read)?;
    let len = span.end.saturating_sub(span.start);
    let mut bytes = BytesMut::new();
    let mut part = file.take(len);
    while part.read_buf(&mut bytes).await.map_err(cannot_read)? > 0 {}
    Ok(bytes.freeze())
}

fn cannot_open(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot open {}", path.display())).with_source(error)
}

/// Reads the records of a range. Made by [`ArchiveFile::records`].
#[derive(Debug)]
pub struct RecordReader<'a> {
    archive: &'a mut ArchiveFile,
    range: KeyRange,
    leaves: VecDeque<LeafEntry>,
    blocks: VecDeque<BlockEntry>,
}

impl RecordReader<'_> {
    /// The range's records in the next block that holds any; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing, but must not be called again if dropped: a block may be lost.
    pub async fn next_block(&mut self) -> Result<Option<Vec<KeyValue>>> {
        while let Some(entry) = self.next_entry().await? {
            let records = self.archive.read_block(&entry).await?.records();
            let wanted: Vec<_> = records.filter(|kv| self.range.contains(&kv.key)).collect();
            if !wanted.is_empty() {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }

    async fn next_entry(&mut self) -> Result<Option<BlockEntry>> {
        while self.blocks.is_empty() {
            let Some(leaf) = self.leaves.pop_front() else { return Ok(None) };
            let leaf = self.archive.read_leaf(&leaf).await?;
            self.blocks.extend(leaf.blocks_for(&self.range).cloned());
        }
        Ok(self.blocks.pop_front())
    }
}
