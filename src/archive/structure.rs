//! Whether an index is all of what its footer vouches for.

use super::error::{Fault, FormatError};
use super::footer::Footer;
use super::hash::{ContentRoot, RootHasher};
use super::index::{BlockEntry, BlockOrder, IndexLeaf, LeafEntry};
use super::layout::STATE_LABEL;

/// Follows the leaves of an index, in order, without the blocks.
#[derive(Debug)]
pub(crate) struct Structure {
    order: BlockOrder,
    records: u64,
    blocks: u64,
    state: RootHasher,
    content: ContentRoot,
    /// Where the first leaf begins.
    leaves_begin: Option<u64>,
    leaves_end: u64,
}

impl Structure {
    pub(crate) fn new() -> Self {
        Self {
            order: BlockOrder::new(),
            records: 0,
            blocks: 0,
            state: RootHasher::new(STATE_LABEL),
            content: ContentRoot::new(),
            leaves_begin: None,
            leaves_end: 0,
        }
    }

    /// Takes the next leaf.
    pub(crate) fn leaf(&mut self, entry: &LeafEntry, leaf: &IndexLeaf) -> Result<(), FormatError> {
        leaf.blocks().iter().try_for_each(|block| self.block(block))?;
        self.leaves_begin.get_or_insert(entry.offset);
        self.leaves_end = entry.span().end;
        Ok(())
    }

    fn block(&mut self, block: &BlockEntry) -> Result<(), FormatError> {
        self.records += u64::from(block.records);
        self.blocks += 1;
        self.state.add(&block.state_hash);
        self.content.add(&block.content_hash);
        self.order.admit(block)
    }

    pub(crate) fn finish(self, footer: &Footer) -> Result<(), FormatError> {
        let summary = footer.summary();
        let (leaves, root) = (self.leaves_begin..Some(self.leaves_end), footer.index_root());
        let equal = [
            ("the number of records", self.records == summary.records),
            ("the number of blocks", self.blocks == summary.blocks),
            ("the state root", self.state.root() == summary.state_root),
            ("the content root", self.content.root() == summary.content_root),
            ("the index's place", leaves.start.is_none_or(|start| start >= self.order.end())),
            ("the index root's place", leaves.end.is_none_or(|end| end <= root.start)),
        ];
        match equal.into_iter().find(|(_, equal)| !equal) {
            Some((what, _)) => Err(Fault::FooterMismatch { what }.at(root.end)),
            None => Ok(()),
        }
    }
}
