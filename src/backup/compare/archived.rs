use std::collections::VecDeque;

use super::run::{Run, knows_last_key};
use crate::archive::{BlockEntry, LeafEntry};
use crate::backup::open::ArchiveFile;
use crate::backup::selection::Segment;
use crate::error::Result;
use crate::types::{KeyRange, KeyValue};

/// The selected records of an archive, under the names that they have in the target.
#[derive(Debug)]
pub(in crate::backup) struct Archived<'a> {
    archive: &'a mut ArchiveFile,
    segments: VecDeque<Segment>,
    /// Whether any record may have a lease.
    leased: bool,
    leaves: VecDeque<LeafEntry>,
    blocks: VecDeque<BlockEntry>,
    current: Option<Segment>,
}

impl<'a> Archived<'a> {
    pub(in crate::backup) fn new(archive: &'a mut ArchiveFile, segments: &[Segment], leased: bool) -> Self {
        let segments = segments.iter().cloned().collect();
        let (leaves, blocks) = (VecDeque::new(), VecDeque::new());
        Self { archive, segments, leased, leaves, blocks, current: None }
    }

    /// The next records, read only if that is needed to know which are selected.
    pub(in crate::backup) async fn next_run(&mut self) -> Result<Option<Run>> {
        while let Some((segment, entry)) = self.next_entry().await? {
            if segment.is_plain() && lies_within(&entry, &segment.source) {
                return Ok(Some(Run::sealed(entry, self.leased)));
            }
            let kvs: Vec<_> =
                self.read(&entry).await?.into_iter().filter_map(|kv| segment.restored(kv)).collect();
            if !kvs.is_empty() {
                return Ok(Some(Run::open(kvs)));
            }
        }
        Ok(None)
    }

    /// The run with its records, which are read if they were not yet.
    pub(in crate::backup) async fn opened(&mut self, run: Run) -> Result<Run> {
        match run.unread() {
            Some(entry) => Ok(Run::block(self.read(entry).await?, entry)),
            None => Ok(run),
        }
    }

    async fn read(&mut self, entry: &BlockEntry) -> Result<Vec<KeyValue>> {
        Ok(self.archive.read_block(entry).await?.records().collect())
    }

    async fn next_entry(&mut self) -> Result<Option<(Segment, BlockEntry)>> {
        loop {
            if let (Some(segment), Some(entry)) = (&self.current, self.blocks.pop_front()) {
                return Ok(Some((segment.clone(), entry)));
            }
            if !self.read_leaf().await? && !self.next_segment() {
                return Ok(None);
            }
        }
    }

    async fn read_leaf(&mut self) -> Result<bool> {
        let (Some(segment), Some(leaf)) = (&self.current, self.leaves.pop_front()) else { return Ok(false) };
        let leaf = self.archive.read_leaf(&leaf).await?;
        self.blocks.extend(leaf.blocks_for(&segment.source).cloned());
        Ok(true)
    }

    fn next_segment(&mut self) -> bool {
        self.current = self.segments.pop_front();
        let Some(segment) = &self.current else { return false };
        self.leaves = self.archive.index().leaves_for(&segment.source).cloned().collect();
        true
    }
}

/// Whether all of the block's keys are certainly in the range.
fn lies_within(entry: &BlockEntry, range: &KeyRange) -> bool {
    knows_last_key(entry) && range.contains(&entry.first_key) && range.contains(&entry.last_key)
}
