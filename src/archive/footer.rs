//! The last frame: what the archive held, and where its index is.

use std::ops::Range;

use bytes::Bytes;

use super::error::{Fault, FormatError};
use super::fixed::Fields;
use super::frame::{Frame, is_frame_len};
use super::hash::{Hash, Root};
use super::layout::{FOOTER_FRAME_LEN, FOOTER_LEN, FrameType, MAX_META_BYTES, PREAMBLE_LEN};

/// What a whole archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many records.
    pub records: u64,
    /// How many blocks they are in.
    pub blocks: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Length of the archive, in bytes.
    pub file_len: u64,
    /// Stands for the full state: keys, values, revisions, versions, leases' ids.
    pub state_root: Root,
    /// Stands for keys and values alone: equal on two clusters that hold the same data.
    pub content_root: Root,
    /// Stands for this very file.
    pub archive_root: Root,
}

/// The last frame of an archive, read from a source that can seek.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    pub(crate) index_root_offset: u64,
    pub(crate) index_root_check: Hash,
    pub(crate) summary: Summary,
}

impl Footer {
    /// The bytes that [`Footer::parse`] takes, in an archive of this length.
    ///
    /// # Errors
    ///
    /// [`Fault::Incomplete`] if the archive is too short to have a footer.
    pub fn span(file_len: u64) -> Result<Range<u64>, FormatError> {
        let start = file_len.checked_sub(FOOTER_FRAME_LEN as u64);
        match start.filter(|start| *start >= PREAMBLE_LEN as u64) {
            Some(start) => Ok(start..file_len),
            None => Err(Fault::Incomplete { records: 0, blocks: 0 }.at(file_len)),
        }
    }

    /// Reads the footer from the bytes that [`Footer::span`] named.
    ///
    /// # Errors
    ///
    /// [`Fault::Incomplete`] if no footer is there, as in an archive that was cut off: how much it
    /// holds only a [`Decoder`](super::Decoder) can tell. Others if the footer is damaged or
    /// belongs to a file of another length.
    pub fn parse(bytes: Bytes, file_len: u64) -> Result<Self, FormatError> {
        let offset = Self::span(file_len)?.start;
        let frame = match Frame::whole(bytes, offset) {
            Ok(frame) if frame.looks_like_footer() => frame.verified(FrameType::Footer)?,
            _ => return Err(Fault::Incomplete { records: 0, blocks: 0 }.at(file_len)),
        };
        let footer =
            Self::decode(&frame.payload()).ok_or(Fault::Malformed { what: "the footer" }.at(offset))?;
        if footer.summary.file_len != file_len {
            return Err(Fault::FooterMismatch { what: "the file's length" }.at(offset));
        }
        let root_len = offset.checked_sub(footer.index_root_offset).and_then(|len| u32::try_from(len).ok());
        if !root_len.is_some_and(|len| is_frame_len(len, MAX_META_BYTES)) {
            return Err(Fault::Malformed { what: "the footer" }.at(offset));
        }
        Ok(footer)
    }

    /// What the archive says that it holds; that it does, only reading all of it shows.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The bytes of the archive that [`IndexRoot::parse`](super::IndexRoot::parse) takes.
    #[must_use]
    pub fn index_root(&self) -> Range<u64> {
        // The root's frame stands right before the footer.
        self.index_root_offset..self.summary.file_len.saturating_sub(FOOTER_FRAME_LEN as u64)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_LEN);
        let Summary { records, blocks, bytes, file_len, state_root, content_root, archive_root } =
            self.summary;
        for counter in [self.index_root_offset, records, blocks, bytes, file_len] {
            out.extend_from_slice(&counter.to_le_bytes());
        }
        for hash in [self.index_root_check, state_root.0, content_root.0, archive_root.0] {
            out.extend_from_slice(&hash);
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let index_root_offset = fields.u64()?;
        let (records, blocks, bytes, file_len) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        let index_root_check = fields.hash()?;
        let [state_root, content_root, archive_root] =
            [Root(fields.hash()?), Root(fields.hash()?), Root(fields.hash()?)];
        let summary = Summary { records, blocks, bytes, file_len, state_root, content_root, archive_root };
        fields.0.is_empty().then_some(Self { index_root_offset, index_root_check, summary })
    }

    /// The first thing in which two footers differ.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (&self.summary, &other.summary);
        let equal = [
            ("the number of records", a.records == b.records),
            ("the number of blocks", a.blocks == b.blocks),
            ("the number of bytes", a.bytes == b.bytes),
            ("the file's length", a.file_len == b.file_len),
            ("the state root", a.state_root == b.state_root),
            ("the content root", a.content_root == b.content_root),
            ("the archive root", a.archive_root == b.archive_root),
            ("the index root's place", self.index_root_offset == other.index_root_offset),
            ("the index root's check", self.index_root_check == other.index_root_check),
        ];
        equal.into_iter().find(|(_, equal)| !equal).map(|(what, _)| what)
    }
}
