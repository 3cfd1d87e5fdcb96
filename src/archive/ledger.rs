//! What writer and reader both keep of the frames that have passed.

use bytes::Bytes;

use super::footer::{Footer, Summary};
use super::frame::FIRST_FRAME;
use super::hash::{ContentRoot, Hash, RootHasher};
use super::layout::{ARCHIVE_LABEL, FOOTER_FRAME_LEN, STATE_LABEL};
use super::lease::Lease;
use crate::types::LeaseId;

/// The footer in the making.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// Where the next frame begins.
    pub(crate) offset: u64,
    pub(crate) records: u64,
    pub(crate) blocks: u64,
    bytes: u64,
    state: RootHasher,
    content: ContentRoot,
    archive: RootHasher,
    /// Where the last frame began, and its check.
    last_frame: (u64, Hash),
    last_key: Bytes,
    last_lease: Option<LeaseId>,
}

/// A block as far as the ledger counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockFacts<'a> {
    pub(crate) records: u32,
    pub(crate) bytes: u64,
    pub(crate) last_key: &'a [u8],
    pub(crate) state_hash: &'a Hash,
    pub(crate) content_hash: &'a Hash,
}

impl Ledger {
    pub(crate) fn new(preamble: &[u8]) -> Self {
        // The preamble has no check of its own; here is what binds it.
        let mut archive = RootHasher::new(ARCHIVE_LABEL);
        archive.add(preamble);
        Self {
            offset: FIRST_FRAME,
            records: 0,
            blocks: 0,
            bytes: 0,
            state: RootHasher::new(STATE_LABEL),
            content: ContentRoot::new(),
            archive,
            last_frame: (0, Hash::default()),
            last_key: Bytes::new(),
            last_lease: None,
        }
    }

    /// Counts a frame of any type but the footer.
    pub(crate) fn add_frame(&mut self, frame_len: usize, check: &Hash) {
        self.last_frame = (self.offset, *check);
        self.archive.add(check);
        self.offset += frame_len as u64;
    }

    /// Whether a block with this first key can follow.
    pub(crate) fn precedes(&self, first_key: &[u8]) -> bool {
        &self.last_key[..] < first_key
    }

    pub(crate) fn add_block(&mut self, block: BlockFacts<'_>) {
        self.blocks += 1;
        self.records += u64::from(block.records);
        self.bytes += block.bytes;
        self.state.add(block.state_hash);
        self.content.add(block.content_hash);
        // A copy, lest the ledger keep the block in memory.
        self.last_key = Bytes::copy_from_slice(block.last_key);
    }

    /// Counts leases; `false` if they don't ascend from those before.
    pub(crate) fn add_leases(&mut self, leases: &[Lease]) -> bool {
        let ascending = leases.is_sorted_by(|a, b| a.id < b.id);
        let follow = leases.first().is_none_or(|first| self.last_lease.is_none_or(|last| last < first.id));
        self.last_lease = leases.last().map(|last| last.id).or(self.last_lease);
        ascending && follow
    }

    /// The footer of an archive whose last frame so far is the index root.
    pub(crate) fn footer(&self) -> Footer {
        let (index_root_offset, index_root_check) = self.last_frame;
        let summary = Summary {
            records: self.records,
            blocks: self.blocks,
            bytes: self.bytes,
            file_len: self.offset + FOOTER_FRAME_LEN as u64,
            state_root: self.state.root(),
            content_root: self.content.root(),
            archive_root: self.archive.root(),
        };
        Footer { index_root_offset, index_root_check, summary }
    }
}
