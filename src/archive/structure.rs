//! Whether an index is all of what its footer vouches for.

use bytes::Bytes;

use super::error::{Fault, FormatError};
use super::footer::Footer;
use super::frame::FIRST_FRAME;
use super::hash::RootHasher;
use super::index::{BlockEntry, IndexLeaf, LeafEntry};
use super::layout::{CONTENT_LABEL, STATE_LABEL};

/// Follows the leaves of an index, in order, without the blocks.
#[derive(Debug)]
pub(crate) struct Structure {
    /// Where the next part may begin.
    offset: u64,
    last_key: Bytes,
    records: u64,
    blocks: u64,
    state: RootHasher,
    content: RootHasher,
    /// Where the first leaf begins.
    leaves_begin: Option<u64>,
    leaves_end: u64,
}

impl Structure {
    pub(crate) fn new() -> Self {
        Self {
            offset: FIRST_FRAME,
            last_key: Bytes::new(),
            records: 0,
            blocks: 0,
            state: RootHasher::new(STATE_LABEL),
            content: RootHasher::new(CONTENT_LABEL),
            leaves_begin: None,
            leaves_end: 0,
        }
    }

    /// Takes the next leaf.
    pub(crate) fn leaf(&mut self, entry: &LeafEntry, leaf: &IndexLeaf) -> Result<(), FormatError> {
        let out_of_place = self.leaves_begin.is_some() && entry.offset < self.leaves_end;
        if out_of_place || !leaf.blocks().iter().all(|block| self.follows(block)) {
            return Err(Fault::EntryMismatch { what: "the order of the index" }.at(entry.offset));
        }
        self.leaves_begin.get_or_insert(entry.offset);
        self.leaves_end = entry.span().end;
        Ok(())
    }

    fn follows(&mut self, block: &BlockEntry) -> bool {
        // Cut keys of neighbours may be equal.
        let follows = block.offset >= self.offset && block.first_key >= self.last_key;
        self.offset = block.span().end;
        self.last_key = block.last_key.clone();
        self.records += u64::from(block.records);
        self.blocks += 1;
        self.state.add(&block.state_hash);
        self.content.add(&block.content_hash);
        follows
    }

    pub(crate) fn finish(self, footer: &Footer) -> Result<(), FormatError> {
        let summary = footer.summary();
        let (leaves, root) = (self.leaves_begin..Some(self.leaves_end), footer.index_root());
        let equal = [
            ("the number of records", self.records == summary.records),
            ("the number of blocks", self.blocks == summary.blocks),
            ("the state root", self.state.root() == summary.state_root),
            ("the content root", self.content.root() == summary.content_root),
            ("the index's place", leaves.start.is_none_or(|start| start >= self.offset)),
            ("the index root's place", leaves.end.is_none_or(|end| end <= root.start)),
        ];
        match equal.into_iter().find(|(_, equal)| !equal) {
            Some((what, _)) => Err(Fault::FooterMismatch { what }.at(root.end)),
            None => Ok(()),
        }
    }
}
