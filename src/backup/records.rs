use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::source::Source;
use crate::archive::{
    self, Block, BlockEntry, BlockOrder, Facts, FormatError, IndexLeaf, IndexRoot, LeafEntry,
};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyRange, KeyValue, LeaseId};

/// An archive's records, found by an index.
pub(super) struct Records {
    source: Source,
    index: Index,
}

/// Where the blocks are.
pub(super) enum Index {
    /// As the archive says.
    Whole(IndexRoot),
    /// As reading a damaged archive has shown; with the leases that are left.
    Salvaged(Vec<BlockEntry>, BTreeSet<LeaseId>),
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
        RecordReader { entries: self.entries(range), rest: None }
    }

    /// The blocks that may hold keys of a range.
    pub(super) fn entries(&self, range: KeyRange) -> Entries<'_> {
        let (leaves, blocks) = match &self.index {
            Index::Whole(root) => (root.leaves_for(&range).cloned().collect(), VecDeque::new()),
            Index::Salvaged(blocks, _) => {
                let wanted = blocks.iter().filter(|block| block.may_hold(&range));
                (VecDeque::new(), wanted.cloned().collect())
            }
        };
        Entries { records: self, range, leaves, blocks, order: BlockOrder::new() }
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

    /// Facts of which there may be several frames, in order.
    pub(super) async fn all_facts<T: Facts>(&self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        if let Index::Whole(root) = &self.index {
            for entry in T::entries(root) {
                all.push(self.parsed(T::parse(self.source.read(entry.span()).await?, entry))?);
            }
        }
        Ok(all)
    }

    async fn read_block(&self, entry: &BlockEntry) -> Result<Block> {
        self.begin(entry).block().await
    }

    /// Begins to read and check a block, on other threads.
    pub(super) fn begin(&self, entry: &BlockEntry) -> BegunBlock {
        let (source, entry) = (self.source.clone(), entry.clone());
        let reading = tokio::spawn({
            let entry = entry.clone();
            async move {
                let bytes = source.read(entry.span()).await?;
                let parsed = spawn_blocking(move || Block::parse(bytes, &entry)).await.map_err(cut_off)?;
                parsed.map_err(|error| Error::from(error).context(source.name()))
            }
        });
        BegunBlock { entry, reading }
    }

    /// The records of a block as they can be restored: without leases that are lost. A lease of unknown length
    /// would take its keys away again.
    pub(super) async fn restorable(&self, begun: BegunBlock) -> Result<Restorable<'_>> {
        let records = begun.block().await?.records();
        let leases = match &self.index {
            Index::Whole(_) => None,
            Index::Salvaged(_, leases) => Some(leases),
        };
        Ok(Restorable { records, leases })
    }

    pub(super) fn parsed<T>(&self, outcome: Result<T, FormatError>) -> Result<T> {
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

/// A block that is being read.
#[derive(Debug)]
pub(super) struct BegunBlock {
    entry: BlockEntry,
    reading: JoinHandle<Result<Block>>,
}

impl BegunBlock {
    /// Which block it is.
    pub(super) fn entry(&self) -> &BlockEntry {
        &self.entry
    }

    async fn block(self) -> Result<Block> {
        self.reading.await.map_err(cut_off)?
    }
}

fn cut_off(error: JoinError) -> Error {
    Error::new(ErrorKind::Io, "reading a block was cut off").with_source(error)
}

/// A block's records as they can be restored.
#[derive(Debug)]
pub(super) struct Restorable<'a> {
    records: archive::Records,
    /// Those that are left, if some may be lost.
    leases: Option<&'a BTreeSet<LeaseId>>,
}

impl Iterator for Restorable<'_> {
    type Item = KeyValue;

    fn next(&mut self) -> Option<KeyValue> {
        let left = |lease: &LeaseId| self.leases.is_none_or(|leases| leases.contains(lease));
        self.records.next().map(|kv| KeyValue { lease: kv.lease.filter(left), ..kv })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

/// The blocks that may hold keys of a range, one after the other.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    records: &'a Records,
    range: KeyRange,
    leaves: VecDeque<LeafEntry>,
    blocks: VecDeque<BlockEntry>,
    order: BlockOrder,
}

impl Entries<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<BlockEntry>> {
        while self.blocks.is_empty() {
            let Some(leaf) = self.leaves.pop_front() else { return Ok(None) };
            let leaf = self.records.read_leaf(&leaf).await?;
            self.blocks.extend(leaf.blocks_for(&self.range).cloned());
        }
        let next = self.blocks.pop_front();
        next.iter().try_for_each(|block| self.records.parsed(self.order.admit(block)))?;
        Ok(next)
    }

    /// The block behind the last one, if that is known without reading.
    pub(super) fn peek(&self) -> Option<&BlockEntry> {
        self.blocks.front()
    }
}

/// Reads the records of a range. Made by [`ArchiveFile::records`](super::ArchiveFile::records) and
/// [`SalvagedFile::records`](super::SalvagedFile::records).
#[derive(Debug)]
pub struct RecordReader<'a> {
    entries: Entries<'a>,
    /// What was not yet given of the last block.
    rest: Option<archive::Records>,
}

/// Records take more memory taken apart than in their block, and a forged block may have millions.
pub(super) const MOST_AT_ONCE: usize = 65_536;

impl RecordReader<'_> {
    /// The range's records in the next block that holds any, 65536 at a time; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing, but must not be called again if dropped: a block may be lost.
    pub async fn next_block(&mut self) -> Result<Option<Vec<KeyValue>>> {
        loop {
            if let Some(rest) = &mut self.rest {
                let wanted = rest.filter(|kv| self.entries.range.contains(&kv.key));
                let wanted: Vec<_> = wanted.take(MOST_AT_ONCE).collect();
                if !wanted.is_empty() {
                    return Ok(Some(wanted));
                }
            }
            let Some(entry) = self.entries.next().await? else { return Ok(None) };
            self.rest = Some(self.entries.records.read_block(&entry).await?.records());
        }
    }
}
