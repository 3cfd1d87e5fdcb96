//! The index: a root that names leaves, which name blocks.
//!
//! Keys in it are cut short, lest enormous keys make an enormous index. A lookup may therefore have
//! to look into more than one block; it never misses the right one.

use std::ops::Range;

use bytes::Bytes;

use super::error::{EncodeError, Fault, FormatError};
use super::footer::Footer;
use super::frame::{FIRST_FRAME, Frame, is_frame_len, meta_frame};
use super::hash::Hash;
use super::layout::{FrameType, INDEX_KEY_BYTES, LEAF_BLOCKS, MAX_META_BYTES, MAX_PAYLOAD_BYTES};
use super::wire::{Malformed, Reader, Value, bytes_tag, put_bytes, put_message, put_u64, varint_tag};
use crate::types::KeyRange;

/// As much of a key as the index holds, apart from the block it came from.
pub(crate) fn index_key(key: &[u8]) -> Bytes {
    Bytes::copy_from_slice(shortened(key))
}

fn shortened(key: &[u8]) -> &[u8] {
    key.get(..INDEX_KEY_BYTES).unwrap_or(key)
}

/// Whether the key may be longer than what the index holds of it.
pub(crate) fn is_cut(key: &Bytes) -> bool {
    key.len() == INDEX_KEY_BYTES
}

/// Whether a key that begins like `first` may lie above one that begins like `last`.
pub(crate) fn is_above(first: &Bytes, last: &Bytes) -> bool {
    first > last || (is_cut(last) && first == last)
}

/// Where a block is, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockEntry {
    /// Where the block's frame begins, counted from the start of the archive.
    pub offset: u64,
    /// The length of that frame.
    pub frame_len: u32,
    /// The length of the block's records before compression.
    pub raw_len: u32,
    /// How many records it holds.
    pub records: u32,
    /// The first 1024 bytes of its smallest key.
    pub first_key: Bytes,
    /// The first 1024 bytes of its largest key.
    pub last_key: Bytes,
    /// BLAKE3-256 of its records.
    pub state_hash: [u8; 32],
    /// BLAKE3-256 of its keys and values alone.
    pub content_hash: [u8; 32],
}

impl BlockEntry {
    /// The bytes of the archive that [`Block::parse`](super::Block::parse) takes.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        span(self.offset, self.frame_len)
    }

    /// Whether keys of the range may lie in the block.
    pub(crate) fn may_hold(&self, range: &KeyRange) -> bool {
        overlaps(range, &self.first_key, &self.last_key)
    }

    /// Appends the entry as a leaf holds it.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut message = Vec::with_capacity(128 + self.first_key.len() + self.last_key.len());
        put_u64(&mut message, varint_tag(1), self.offset);
        put_u64(&mut message, varint_tag(2), self.frame_len.into());
        put_u64(&mut message, varint_tag(3), self.raw_len.into());
        put_u64(&mut message, varint_tag(4), self.records.into());
        put_bytes(&mut message, bytes_tag(5), &self.first_key);
        put_bytes(&mut message, bytes_tag(6), &self.last_key);
        put_bytes(&mut message, bytes_tag(7), &self.state_hash);
        put_bytes(&mut message, bytes_tag(8), &self.content_hash);
        put_message(out, ENTRY, &message);
    }

    fn decode(message: &[u8], leaf: &Bytes) -> Result<Self, Malformed> {
        let mut entry = Self::empty();
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => entry.offset = value.u64()?,
                2 => entry.frame_len = frame_len(&value, MAX_PAYLOAD_BYTES)?,
                3 => entry.raw_len = value.u32()?,
                4 => entry.records = value.u32()?,
                5 => entry.first_key = bound(&value, leaf)?,
                6 => entry.last_key = bound(&value, leaf)?,
                7 => entry.state_hash = hash_of(&value)?,
                8 => entry.content_hash = hash_of(&value)?,
                _ => {}
            }
        }
        let hashed = entry.state_hash != MISSING && entry.content_hash != MISSING;
        let whole = hashed && entry.frame_len > 0 && !entry.first_key.is_empty();
        let sorted = entry.first_key <= entry.last_key;
        (whole && sorted).then_some(entry).ok_or(Malformed)
    }

    pub(crate) fn empty() -> Self {
        Self {
            offset: 0,
            frame_len: 0,
            raw_len: 0,
            records: 0,
            first_key: Bytes::new(),
            last_key: Bytes::new(),
            state_hash: MISSING,
            content_hash: MISSING,
        }
    }
}

/// Where an index leaf is, and which keys it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeafEntry {
    /// Where the leaf's frame begins, counted from the start of the archive.
    pub offset: u64,
    /// The length of that frame.
    pub frame_len: u32,
    /// The first 1024 bytes of the smallest key in its blocks.
    pub first_key: Bytes,
    /// The first 1024 bytes of the largest key in its blocks.
    pub last_key: Bytes,
    /// The check at the end of the leaf's frame.
    pub check: [u8; 32],
}

impl LeafEntry {
    /// The entry of a leaf that was written or read at this place.
    pub(crate) fn of(blocks: &[BlockEntry], offset: u64, frame_len: usize, check: Hash) -> Self {
        Self {
            offset,
            // Frames are limited far below 4 GiB.
            frame_len: u32::try_from(frame_len).unwrap_or(u32::MAX),
            first_key: blocks.first().map(|block| block.first_key.clone()).unwrap_or_default(),
            last_key: blocks.last().map(|block| block.last_key.clone()).unwrap_or_default(),
            check,
        }
    }

    /// The bytes of the archive that [`IndexLeaf::parse`] takes.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        span(self.offset, self.frame_len)
    }

    /// Appends the entry as the root holds it.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut message = Vec::with_capacity(64 + self.first_key.len() + self.last_key.len());
        put_u64(&mut message, varint_tag(1), self.offset);
        put_u64(&mut message, varint_tag(2), self.frame_len.into());
        put_bytes(&mut message, bytes_tag(3), &self.first_key);
        put_bytes(&mut message, bytes_tag(4), &self.last_key);
        put_bytes(&mut message, bytes_tag(5), &self.check);
        put_message(out, ENTRY, &message);
    }

    fn decode(message: &[u8], root: &Bytes) -> Result<Self, Malformed> {
        let mut entry = Self::of(&[], 0, 0, MISSING);
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => entry.offset = value.u64()?,
                2 => entry.frame_len = frame_len(&value, MAX_META_BYTES)?,
                3 => entry.first_key = bound(&value, root)?,
                4 => entry.last_key = bound(&value, root)?,
                5 => entry.check = hash_of(&value)?,
                _ => {}
            }
        }
        let whole = entry.check != MISSING && entry.frame_len > 0 && !entry.first_key.is_empty();
        let sorted = entry.first_key <= entry.last_key;
        (whole && sorted).then_some(entry).ok_or(Malformed)
    }
}

/// Where a frame is that holds neither records nor a part of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameEntry {
    /// The frame's type.
    pub frame: u8,
    /// Where it begins, counted from the start of the archive.
    pub offset: u64,
    /// Its length.
    pub frame_len: u32,
    /// The check at its end.
    pub check: [u8; 32],
}

impl FrameEntry {
    pub(crate) fn of(frame: u8, offset: u64, frame_len: usize, check: Hash) -> Self {
        // Frames are limited far below 4 GiB.
        Self { frame, offset, frame_len: u32::try_from(frame_len).unwrap_or(u32::MAX), check }
    }

    /// The bytes of the archive that the frame takes.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        span(self.offset, self.frame_len)
    }

    /// The payload of the frame, from the bytes of [`FrameEntry::span`].
    pub(crate) fn payload(&self, bytes: Bytes) -> Result<Bytes, FormatError> {
        let frame = Frame::whole(bytes, self.offset)?.checked()?;
        if frame.kind() != self.frame || frame.check() != self.check {
            return Err(Fault::EntryMismatch { what: "the frame" }.at(self.offset));
        }
        Ok(frame.payload())
    }

    /// Appends the entry as the root holds it.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut message = Vec::with_capacity(64);
        put_u64(&mut message, varint_tag(1), self.frame.into());
        put_u64(&mut message, varint_tag(2), self.offset);
        put_u64(&mut message, varint_tag(3), self.frame_len.into());
        put_bytes(&mut message, bytes_tag(4), &self.check);
        put_message(out, bytes_tag(2), &message);
    }

    fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut entry = Self::of(0, 0, 0, MISSING);
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => entry.frame = value.u32()?.try_into().map_err(|_| Malformed)?,
                2 => entry.offset = value.u64()?,
                3 => entry.frame_len = frame_len(&value, MAX_META_BYTES)?,
                4 => entry.check = hash_of(&value)?,
                _ => {}
            }
        }
        (entry.check != MISSING && entry.frame_len > 0).then_some(entry).ok_or(Malformed)
    }
}

const ENTRY: u8 = bytes_tag(1);
/// What stands for a hash that was not there: no input is known, nor ever will be, that has it.
const MISSING: Hash = [0; 32];

fn span(offset: u64, frame_len: u32) -> Range<u64> {
    offset..offset.saturating_add(frame_len.into())
}

fn frame_len(value: &Value<'_>, payload_limit: u32) -> Result<u32, Malformed> {
    let len = value.u32()?;
    if is_frame_len(len, payload_limit) { Ok(len) } else { Err(Malformed) }
}

fn bound(value: &Value<'_>, message: &Bytes) -> Result<Bytes, Malformed> {
    let key = value.bytes(message)?;
    if (1..=INDEX_KEY_BYTES).contains(&key.len()) { Ok(key) } else { Err(Malformed) }
}

fn hash_of(value: &Value<'_>) -> Result<Hash, Malformed> {
    value.slice()?.try_into().map_err(|_| Malformed)
}

/// The order of blocks from one leaf to the next. Keys that are cut may be equal, so a forged index could name such a
/// block again in every leaf.
#[derive(Clone, Debug)]
pub(crate) struct BlockOrder {
    /// Where the next block may begin.
    offset: u64,
    last_key: Bytes,
}

impl BlockOrder {
    pub(crate) fn new() -> Self {
        Self { offset: FIRST_FRAME, last_key: Bytes::new() }
    }

    /// Whether the block lies behind those before it, in the file and by its keys.
    pub(crate) fn admit(&mut self, block: &BlockEntry) -> Result<(), FormatError> {
        let follows = block.offset >= self.offset && is_above(&block.first_key, &self.last_key);
        (self.offset, self.last_key) = (block.span().end, block.last_key.clone());
        if follows {
            Ok(())
        } else {
            Err(Fault::EntryMismatch { what: "the order of the index" }.at(block.offset))
        }
    }

    /// Where the blocks so far end.
    pub(crate) fn end(&self) -> u64 {
        self.offset
    }
}

/// Whether entries follow each other in the file and by their keys: else a small file could name the same
/// blocks again and again, and keep whoever seeks busy for ever.
fn ascend<T>(entries: &[T], span: impl Fn(&T) -> Range<u64>, keys: impl Fn(&T) -> [&Bytes; 2]) -> bool {
    entries
        .is_sorted_by(|one, next| span(one).end <= span(next).start && is_above(keys(next)[0], keys(one)[1]))
}

/// Whether a key of the range can lie between keys that begin like this.
fn overlaps(range: &KeyRange, first: &[u8], last: &[u8]) -> bool {
    if range.is_empty() || shortened(range.start()) > last {
        return false;
    }
    let (start, end) = range.to_wire();
    match &end[..] {
        // etcd's spelling of one key, and of no end.
        b"" => start >= first,
        b"\0" => true,
        end => end > first,
    }
}

/// The top of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRoot {
    leaves: Vec<LeafEntry>,
    frames: Vec<FrameEntry>,
}

impl IndexRoot {
    /// Reads the root from the bytes that [`Footer::index_root`] named.
    ///
    /// # Errors
    ///
    /// If they are damaged, or are not the root that the footer means.
    pub fn parse(bytes: Bytes, footer: &Footer) -> Result<Self, FormatError> {
        let offset = footer.index_root().start;
        let frame = Frame::whole(bytes, offset)?.verified(FrameType::IndexRoot)?;
        if frame.check() != footer.index_root_check {
            return Err(Fault::EntryMismatch { what: "the index root" }.at(offset));
        }
        Self::decode(&frame.payload())
            .map_err(|Malformed| Fault::Malformed { what: "the index root" }.at(offset))
    }

    pub(crate) fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        // Every entry holds a hash, so the payload's limit bounds their number.
        let (mut leaves, mut frames) = (Vec::new(), Vec::new());
        let mut fields = Reader::new(payload);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => leaves.push(LeafEntry::decode(value.slice()?, payload)?),
                2 => frames.push(FrameEntry::decode(value.slice()?)?),
                _ => {}
            }
        }
        if ascend(&leaves, LeafEntry::span, |leaf| [&leaf.first_key, &leaf.last_key]) {
            Ok(Self { leaves, frames })
        } else {
            Err(Malformed)
        }
    }

    /// All frames that hold neither records nor a part of the index, in order.
    #[must_use]
    pub fn frames(&self) -> &[FrameEntry] {
        &self.frames
    }

    /// All leaves, in key order.
    #[must_use]
    pub fn leaves(&self) -> &[LeafEntry] {
        &self.leaves
    }

    /// The leaves whose blocks may hold keys of the range, in key order.
    pub fn leaves_for<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a LeafEntry> {
        self.leaves.iter().filter(|leaf| overlaps(range, &leaf.first_key, &leaf.last_key))
    }
}

/// The entries of up to 256 consecutive blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexLeaf {
    blocks: Vec<BlockEntry>,
}

impl IndexLeaf {
    /// Reads a leaf from the bytes of [`LeafEntry::span`].
    ///
    /// # Errors
    ///
    /// If they are damaged, or are not the leaf that the entry means.
    pub fn parse(bytes: Bytes, entry: &LeafEntry) -> Result<Self, FormatError> {
        let frame = Frame::whole(bytes, entry.offset)?.verified(FrameType::IndexLeaf)?;
        let leaf = Self::decode(&frame.payload())
            .map_err(|Malformed| Fault::Malformed { what: "an index leaf" }.at(entry.offset))?;
        if LeafEntry::of(&leaf.blocks, entry.offset, frame.len(), frame.check()) == *entry {
            Ok(leaf)
        } else {
            Err(Fault::EntryMismatch { what: "the index leaf" }.at(entry.offset))
        }
    }

    pub(crate) fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut blocks = Vec::new();
        let mut fields = Reader::new(payload);
        while let Some((number, value)) = fields.field()? {
            if number == 1 && blocks.len() == LEAF_BLOCKS {
                return Err(Malformed);
            }
            if number == 1 {
                blocks.push(BlockEntry::decode(value.slice()?, payload)?);
            }
        }
        let ascend = ascend(&blocks, BlockEntry::span, |block| [&block.first_key, &block.last_key]);
        if blocks.is_empty() || !ascend { Err(Malformed) } else { Ok(Self { blocks }) }
    }

    /// All blocks of the leaf, in key order.
    #[must_use]
    pub fn blocks(&self) -> &[BlockEntry] {
        &self.blocks
    }

    /// The blocks that may hold keys of the range, in key order.
    pub fn blocks_for<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a BlockEntry> {
        self.blocks.iter().filter(|block| block.may_hold(range))
    }
}

/// Gathers the index while blocks are written, in the form in which leaves hold it.
#[derive(Debug, Default)]
pub(crate) struct IndexWriter {
    leaves: Vec<Leaf>,
    /// The entries of other frames, as the root holds them.
    frames: Vec<u8>,
}

#[derive(Debug)]
struct Leaf {
    payload: Vec<u8>,
    blocks: usize,
    first_key: Bytes,
    last_key: Bytes,
}

impl IndexWriter {
    pub(crate) fn add(&mut self, block: BlockEntry) {
        if self.leaves.last().is_none_or(|leaf| leaf.blocks == LEAF_BLOCKS) {
            let first_key = block.first_key.clone();
            self.leaves.push(Leaf { payload: Vec::new(), blocks: 0, first_key, last_key: Bytes::new() });
        }
        if let Some(leaf) = self.leaves.last_mut() {
            block.put(&mut leaf.payload);
            leaf.blocks += 1;
            leaf.last_key = block.last_key;
        }
    }

    pub(crate) fn add_frame(&mut self, entry: &FrameEntry) {
        entry.put(&mut self.frames);
    }

    /// The frames of the leaves, handed out one after the other, and the payload of the root.
    ///
    /// `write` takes a frame and returns where it begins.
    pub(crate) fn finish(self, mut write: impl FnMut(Vec<u8>) -> u64) -> Result<Vec<u8>, EncodeError> {
        let mut root = Vec::new();
        for leaf in self.leaves {
            let frame = meta_frame(FrameType::IndexLeaf, &leaf.payload)?;
            let (frame_len, check) = (frame.len(), frame.last_chunk().copied().unwrap_or_default());
            let mut entry = LeafEntry::of(&[], write(frame), frame_len, check);
            (entry.first_key, entry.last_key) = (leaf.first_key, leaf.last_key);
            entry.put(&mut root);
        }
        root.extend_from_slice(&self.frames);
        Ok(root)
    }
}
