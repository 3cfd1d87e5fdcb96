use std::collections::VecDeque;
use std::fmt;

use super::source::Source;
use crate::archive::{Block, BlockEntry, Facts, FormatError, IndexLeaf, IndexRoot, LeafEntry};
use crate::error::{Error, Result};
use crate::types::{KeyRange, KeyValue};

/// An archive's records, found by an index.
pub(super) struct Records {
    source: Source,
    index: Index,
}

/// Where the blocks are.
pub(super) enum Index {
    /// As the archive says.
    Whole(IndexRoot),
    /// As reading a damaged archive has shown.
    Salvaged(Vec<BlockEntry>),
}

impl Records {
    pub(super) fn new(source: Source, index: Index) -> Self {
        Self { source, index }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn of(&self, range: KeyRange) -> RecordReader<'_> {
        let (leaves, blocks) = match &self.index {
            Index::Whole(root) => (root.leaves_for(&range).cloned().collect(), VecDeque::new()),
            Index::Salvaged(blocks) => {
                let wanted = blocks.iter().filter(|block| block.may_hold(&range));
                (VecDeque::new(), wanted.cloned().collect())
            }
        };
        RecordReader { records: self, range, leaves, blocks }
    }

    pub(super) async fn read_leaf(&self, entry: &LeafEntry) -> Result<IndexLeaf> {
        let bytes = self.source.read(entry.span()).await?;
        self.parsed(IndexLeaf::parse(bytes, entry))
    }

    /// Facts of one kind, if the index has them.
    pub(super) async fn facts<T: Facts>(&self) -> Result<Option<T>> {
        let Index::Whole(root) = &self.index else { return Ok(None) };
        let Some(entry) = T::entry(root) else { return Ok(None) };
        let bytes = self.source.read(entry.span()).await?;
        self.parsed(T::parse(bytes, entry)).map(Some)
    }

    async fn read_block(&self, entry: &BlockEntry) -> Result<Block> {
        let bytes = self.source.read(entry.span()).await?;
        self.parsed(Block::parse(bytes, entry))
    }

    fn parsed<T>(&self, outcome: Result<T, FormatError>) -> Result<T> {
        outcome.map_err(|error| self.named(error))
    }

    /// The error, told with the archive's name.
    pub(super) fn named(&self, error: FormatError) -> Error {
        Error::from(error).context(self.source.name())
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.name())
    }
}

/// Reads the records of a range. Made by [`ArchiveFile::records`](super::ArchiveFile::records) and
/// [`SalvagedFile::records`](super::SalvagedFile::records).
#[derive(Debug)]
pub struct RecordReader<'a> {
    records: &'a Records,
    range: KeyRange,
    leaves: VecDeque<LeafEntry>,
    blocks: VecDeque<BlockEntry>,
}

impl RecordReader<'_> {
    /// The range's records in the next block that holds any; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    ///
    /// # Cancel safety
    ///
    /// Changes nothing, but must not be called again if dropped: a block may be lost.
    pub async fn next_block(&mut self) -> Result<Option<Vec<KeyValue>>> {
        while let Some(entry) = self.next_entry().await? {
            let records = self.records.read_block(&entry).await?.records();
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
            let leaf = self.records.read_leaf(&leaf).await?;
            self.blocks.extend(leaf.blocks_for(&self.range).cloned());
        }
        Ok(self.blocks.pop_front())
    }
}
