//! Whether all bytes of an archive are those that were written, by its index. What blocks hold is not looked at.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::block::check_stored;
use super::error::{Fault, FormatError};
use super::footer::Footer;
use super::frame::{FIRST_FRAME, read_preamble};
use super::hash::{Hash, RootHasher};
use super::header::Header;
use super::index::{BlockEntry, IndexRoot};
use super::layout::{ARCHIVE_LABEL, CRITICAL, FrameType};

/// A frame by its place and its check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckedFrame {
    offset: u64,
    frame_len: u32,
    check: Hash,
}

impl CheckedFrame {
    /// The block that an entry names, from the bytes of [`BlockEntry::span`].
    pub(crate) fn of_block(bytes: Bytes, entry: &BlockEntry) -> Result<Self, FormatError> {
        let check = check_stored(bytes, entry)?;
        Ok(Self { offset: entry.offset, frame_len: entry.frame_len, check })
    }
}

/// Follows the frames of an archive from the preamble to the footer: none may be missing, nothing may lie between them.
#[derive(Debug)]
pub(crate) struct Intact {
    /// Those between and behind the blocks, whose checks the index has.
    others: VecDeque<CheckedFrame>,
    /// Where the next frame begins.
    offset: u64,
    archive: RootHasher,
}

impl Intact {
    /// The bytes of the archive before its first frame.
    pub(crate) const PREAMBLE: Range<u64> = 0..FIRST_FRAME;

    pub(crate) fn new(preamble: &[u8], root: &IndexRoot, footer: &Footer) -> Self {
        let mut archive = RootHasher::new(ARCHIVE_LABEL);
        archive.add(preamble);
        Self { others: others(root, footer).into(), offset: FIRST_FRAME, archive }
    }

    /// Whether this version may pass over all frames that it does not know.
    pub(crate) fn check_known(preamble: &[u8], header: &Header, root: &IndexRoot) -> Result<(), FormatError> {
        let minor = read_preamble(preamble)?;
        let Some(unknown) = root.frames().iter().find(|frame| is_unknown_critical(frame.frame)) else {
            return Ok(());
        };
        let writer = header.writer.clone();
        Err(Fault::UnknownCritical { frame: unknown.frame, minor, writer }.at(unknown.offset))
    }

    /// Takes the next block.
    pub(crate) fn block(&mut self, block: CheckedFrame) -> Result<(), FormatError> {
        self.others_before(block.offset)?;
        self.frame(block)
    }

    /// Ends with the footer.
    pub(crate) fn finish(mut self, footer: &Footer) -> Result<(), FormatError> {
        let end = footer.index_root().end;
        self.others_before(end)?;
        let (ended, root) = (self.offset == end, self.archive.root());
        match (ended, root == footer.summary().archive_root) {
            (true, true) => Ok(()),
            (false, _) => Err(Fault::FooterMismatch { what: "the file's length" }.at(end)),
            (true, false) => Err(Fault::FooterMismatch { what: "the archive root" }.at(end)),
        }
    }

    fn others_before(&mut self, offset: u64) -> Result<(), FormatError> {
        while let Some(other) = self.others.front().copied().filter(|other| other.offset < offset) {
            self.others.pop_front();
            self.frame(other)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: CheckedFrame) -> Result<(), FormatError> {
        if frame.offset != self.offset {
            return Err(Fault::LostFrame.at(self.offset));
        }
        self.offset += u64::from(frame.frame_len);
        self.archive.add(&frame.check);
        Ok(())
    }
}

fn is_unknown_critical(kind: u8) -> bool {
    kind & CRITICAL != 0 && FrameType::from_byte(kind).is_none()
}

/// All frames but blocks and the footer, in order.
fn others(root: &IndexRoot, footer: &Footer) -> Vec<CheckedFrame> {
    let frames = root.frames().iter().map(|frame| (frame.offset, frame.frame_len, frame.check));
    let leaves = root.leaves().iter().map(|leaf| (leaf.offset, leaf.frame_len, leaf.check));
    let top = footer.index_root();
    // The footer has checked its length.
    let top_len = u32::try_from(top.end - top.start).unwrap_or(u32::MAX);
    let all = frames.chain(leaves).chain([(top.start, top_len, footer.index_root_check)]);
    let mut all: Vec<_> =
        all.map(|(offset, frame_len, check)| CheckedFrame { offset, frame_len, check }).collect();
    all.sort_by_key(|frame| frame.offset);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::frame::preamble;
    use crate::archive::index::FrameEntry;

    #[test]
    fn a_frame_that_must_be_understood_is_refused() {
        let told = |kind| {
            let mut payload = Vec::new();
            FrameEntry::of(kind, FIRST_FRAME, 44, [1; 32]).put(&mut payload);
            let root = IndexRoot::decode(&payload.into()).unwrap();
            Intact::check_known(&preamble(), &Header::default(), &root)
        };
        assert!(told(0x0a).is_ok() && told(FrameType::Leases.byte()).is_ok());
        assert!(matches!(told(0x8a).unwrap_err().fault, Fault::UnknownCritical { frame: 0x8a, .. }));
    }
}
