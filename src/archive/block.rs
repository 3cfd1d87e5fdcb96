//! Blocks: sorted runs of records, each hashed and compressed on its own.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::io::Cursor;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use super::error::{Fault, FormatError};
use super::fixed::{Fields, overwrite};
use super::frame::{Frame, complete_frame};
use super::hash::{ContentHasher, Hash, hash};
use super::index::{BlockEntry, index_key};
use super::layout::{
    BLOCK_HEADER_LEN, BLOCK_RESERVED_LEN, COMPRESSION_NONE, COMPRESSION_ZSTD, FRAME_HEADER_LEN,
    FRAME_OVERHEAD, FrameType, HASH_LEN, MAX_RAW_BYTES, MIN_RECORD_LEN,
};
use super::record::{Record, Records};
use super::wire::Reader;
use crate::types::KeyValue;

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// By zstd at this level; blocks that don't become smaller are stored as they are.
    Zstd(i32),
}

impl Default for Compression {
    /// zstd at level 1: the fastest level, so that a backup is not slower than reading the cluster.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

/// What stands in front of a block's records: room for the headers is made before the records are
/// written, so that they never move.
pub(crate) const ROOM: usize = FRAME_HEADER_LEN + BLOCK_HEADER_LEN;

/// A block that was cut but not yet hashed and compressed.
#[derive(Clone, Debug)]
pub struct RawBlock {
    pub(crate) ordinal: u64,
    /// Room for the headers, then the records.
    pub(crate) frame: Vec<u8>,
    pub(crate) records: u32,
    pub(crate) bytes: u64,
    pub(crate) first_key: Bytes,
    pub(crate) last_key: Bytes,
}

impl RawBlock {
    /// How much memory the block takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.frame.capacity()
    }

    /// Stands for its full records.
    pub(crate) fn state_hash(&self) -> Hash {
        hash(self.frame.get(ROOM..).unwrap_or_default())
    }

    /// Stands for its keys and values.
    pub(crate) fn content_hash(&self) -> Hash {
        content_hash(self.frame.get(ROOM..).unwrap_or_default())
    }

    /// Hashes and compresses the block. Pure computation, the bulk of the work of writing an archive:
    /// blocks can be sealed on many threads, in any order.
    #[must_use]
    pub fn seal(self, compression: Compression) -> SealedBlock {
        let (state_hash, content_hash) = (self.state_hash(), self.content_hash());
        let raw = self.frame.get(ROOM..).unwrap_or_default();
        let raw_len = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        let compressed = match compression {
            Compression::None => None,
            Compression::Zstd(level) => compress(raw, level),
        };
        let method = if compressed.is_some() { COMPRESSION_ZSTD } else { COMPRESSION_NONE };
        let head = BlockHeader {
            ordinal: self.ordinal,
            raw_len,
            records: self.records,
            compression: method,
            state_hash,
            content_hash,
        };
        let mut frame = compressed.unwrap_or(self.frame);
        overwrite(&mut frame, FRAME_HEADER_LEN, &head.encode());
        let check = complete_frame(&mut frame, FrameType::Block.byte());
        SealedBlock {
            head,
            frame,
            check,
            bytes: self.bytes,
            first_key: self.first_key,
            last_key: self.last_key,
        }
    }
}

/// The compressed records behind [`ROOM`]; `None` if they would not be smaller.
fn compress(raw: &[u8], level: i32) -> Option<Vec<u8>> {
    // The check follows later; its room here saves moving the block then.
    let mut out = Cursor::new(Vec::with_capacity(ROOM + raw.len() + HASH_LEN));
    out.set_position(ROOM as u64);
    // The only error of a valid call is that the result would not fit, hence not be smaller.
    let len = with_compressor(level, |compressor| compressor.compress_to_buffer(raw, &mut out).ok())?;
    (len < raw.len()).then(|| out.into_inner())
}

thread_local! {
    // A context is a megabyte that would be allocated and cleared for every block.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn with_compressor<T>(level: i32, work: impl FnOnce(&mut Compressor<'_>) -> Option<T>) -> Option<T> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(level).ok()?),
        };
        compressor.set_compression_level(level).ok()?;
        work(compressor)
    })
}

fn with_decompressor<T>(work: impl FnOnce(&mut Decompressor<'_>) -> Option<T>) -> Option<T> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new().ok()?),
        };
        work(decompressor)
    })
}

/// Of records that the cutter wrote.
fn content_hash(raw: &[u8]) -> Hash {
    let mut hasher = ContentHasher::default();
    let mut reader = Reader::new(raw);
    while let Ok(record) = Record::read(&mut reader) {
        hasher.add(record.key, record.value);
    }
    hasher.finish()
}

/// A block ready to be appended.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    head: BlockHeader,
    pub(crate) frame: Vec<u8>,
    pub(crate) check: Hash,
    pub(crate) bytes: u64,
    pub(crate) first_key: Bytes,
    pub(crate) last_key: Bytes,
}

impl SealedBlock {
    /// How many bytes the block takes in the archive.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    pub(crate) fn ordinal(&self) -> u64 {
        self.head.ordinal
    }

    pub(crate) fn entry(&self, offset: u64) -> BlockEntry {
        self.head.entry(offset, self.frame.len(), &self.first_key, &self.last_key)
    }
}

/// The fixed fields in front of a block's stored bytes.
#[derive(Clone, Debug)]
struct BlockHeader {
    ordinal: u64,
    raw_len: u32,
    records: u32,
    compression: u8,
    state_hash: Hash,
    content_hash: Hash,
}

impl BlockHeader {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEADER_LEN);
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
        out.extend_from_slice(&self.records.to_le_bytes());
        out.push(self.compression);
        out.extend_from_slice(&[0; BLOCK_RESERVED_LEN]);
        out.extend_from_slice(&self.state_hash);
        out.extend_from_slice(&self.content_hash);
        out
    }

    /// The fields, as far as they can be true.
    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let (ordinal, raw_len, records) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let (compression, reserved) = (fields.u8()?, fields.array()?);
        let (state_hash, content_hash) = (fields.hash()?, fields.hash()?);
        // Bounds what decompression allocates and how often reading records loops.
        let plausible = raw_len <= MAX_RAW_BYTES && records > 0 && records <= raw_len / MIN_RECORD_LEN;
        let valid = plausible && reserved == [0; BLOCK_RESERVED_LEN];
        valid.then_some(Self { ordinal, raw_len, records, compression, state_hash, content_hash })
    }

    fn entry(&self, offset: u64, frame_len: usize, first: &Bytes, last: &Bytes) -> BlockEntry {
        BlockEntry {
            offset,
            // Frames are limited far below 4 GiB.
            frame_len: u32::try_from(frame_len).unwrap_or(u32::MAX),
            raw_len: self.raw_len,
            records: self.records,
            first_key: index_key(first),
            last_key: index_key(last),
            state_hash: self.state_hash,
            content_hash: self.content_hash,
        }
    }
}

/// A block that was read: decompressed, its hashes verified, its records known to be canonical,
/// sorted and unique.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where its frame begins, and how long that is.
    offset: u64,
    frame_len: usize,
    head: BlockHeader,
    raw: Bytes,
    bytes: u64,
    leased: bool,
    first_key: Bytes,
    last_key: Bytes,
}

impl Block {
    /// Reads the block that an index entry names, from the bytes of [`BlockEntry::span`].
    ///
    /// # Errors
    ///
    /// If the bytes are damaged, or are another block than the entry's.
    pub fn parse(bytes: Bytes, entry: &BlockEntry) -> Result<Self, FormatError> {
        let frame = Frame::whole(bytes, entry.offset)?.verified(FrameType::Block)?;
        let block = Self::open(frame.payload(), entry.offset)?;
        if block.entry() == *entry {
            Ok(block)
        } else {
            Err(Fault::EntryMismatch { what: "the block" }.at(entry.offset))
        }
    }

    pub(crate) fn open(payload: Bytes, offset: u64) -> Result<Self, FormatError> {
        Self::decode(payload, offset).map_err(|fault| fault.at(offset))
    }

    fn decode(payload: Bytes, offset: u64) -> Result<Self, Fault> {
        let frame_len = FRAME_OVERHEAD + payload.len();
        let head = BlockHeader::decode(&payload).ok_or(Fault::Malformed { what: "a block header" })?;
        let stored = payload.slice(BLOCK_HEADER_LEN..);
        let raw = match head.compression {
            COMPRESSION_NONE => stored,
            COMPRESSION_ZSTD => decompress(&stored, head.raw_len as usize)?.into(),
            other => return Err(Fault::UnknownCompression(other)),
        };
        if raw.len() != head.raw_len as usize {
            return Err(Fault::Malformed { what: "a block's length" });
        }
        if hash(&raw) != head.state_hash {
            return Err(Fault::StateHashMismatch);
        }
        Self::validate(head, raw).map(|block| Self { offset, frame_len, ..block })
    }

    /// Walks through the records once, so that nobody has to look for faults in them again.
    fn validate(head: BlockHeader, raw: Bytes) -> Result<Self, Fault> {
        const MALFORMED: Fault = Fault::Malformed { what: "a block's records" };
        let mut reader = Reader::new(&raw);
        let mut hasher = ContentHasher::default();
        let (mut bytes, mut leased, mut first, mut last) = (0, false, None, &[][..]);
        for _ in 0..head.records {
            let record = Record::read(&mut reader).map_err(|_| MALFORMED)?;
            if record.key <= last {
                return Err(Fault::KeyOrder { key: Bytes::copy_from_slice(record.key) });
            }
            hasher.add(record.key, record.value);
            bytes += record.content_len() as u64;
            leased |= record.is_leased();
            first.get_or_insert(record.key);
            last = record.key;
        }
        if !reader.is_empty() {
            return Err(MALFORMED);
        }
        if hasher.finish() != head.content_hash {
            return Err(Fault::ContentHashMismatch);
        }
        let (first_key, last_key) = (raw.slice_ref(first.unwrap_or_default()), raw.slice_ref(last));
        Ok(Self { offset: 0, frame_len: 0, head, raw, bytes, leased, first_key, last_key })
    }

    /// The block's number, from 0 on.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.head.ordinal
    }

    /// The records in key order. They are slices of the block: keeping one keeps the block in memory.
    #[must_use]
    pub fn records(&self) -> Records {
        Records::new(self.raw.clone(), self.head.records)
    }

    /// How many records the block has; at least one.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.head.records
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether any of the records has a lease.
    pub(crate) fn has_leases(&self) -> bool {
        self.leased
    }

    /// The smallest key.
    #[must_use]
    pub fn first_key(&self) -> &Bytes {
        &self.first_key
    }

    /// The largest key.
    #[must_use]
    pub fn last_key(&self) -> &Bytes {
        &self.last_key
    }

    /// The record of one key, if the block holds it.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<KeyValue> {
        let mut reader = Reader::new(&self.raw);
        while let Ok(record) = Record::read(&mut reader) {
            match record.key.cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return Some(record.to_key_value(&self.raw)),
                Ordering::Greater => break,
            }
        }
        None
    }

    pub(crate) fn state_hash(&self) -> &Hash {
        &self.head.state_hash
    }

    pub(crate) fn content_hash(&self) -> &Hash {
        &self.head.content_hash
    }

    /// What an index would say of the block, in the place where it was read.
    #[must_use]
    pub fn entry(&self) -> BlockEntry {
        self.head.entry(self.offset, self.frame_len, &self.first_key, &self.last_key)
    }
}

/// The check of the block that an entry names, if its bytes are those that were written. They are not taken apart.
pub(crate) fn check_stored(bytes: Bytes, entry: &BlockEntry) -> Result<Hash, FormatError> {
    let frame = Frame::whole(bytes, entry.offset)?.verified(FrameType::Block)?;
    let head = BlockHeader::decode(&frame.payload())
        .ok_or(Fault::Malformed { what: "a block header" }.at(entry.offset))?;
    if head.entry(entry.offset, frame.len(), &entry.first_key, &entry.last_key) == *entry {
        Ok(frame.check())
    } else {
        Err(Fault::EntryMismatch { what: "the block" }.at(entry.offset))
    }
}

/// Exactly `raw_len` bytes, from exactly one zstd frame that says so itself.
fn decompress(stored: &[u8], raw_len: usize) -> Result<Vec<u8>, Fault> {
    use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};
    // A bomb is found here, before anything is allocated for it.
    let stated = get_frame_content_size(stored).ok().flatten();
    let honest = stated == Some(raw_len as u64) && find_frame_compressed_size(stored) == Ok(stored.len());
    if !honest {
        return Err(Fault::Decompression);
    }
    let mut raw = Vec::with_capacity(raw_len);
    with_decompressor(|decompressor| decompressor.decompress_to_buffer(stored, &mut raw).ok())
        .ok_or(Fault::Decompression)?;
    if raw.len() == raw_len { Ok(raw) } else { Err(Fault::Decompression) }
}
