//! Where blocks end.

use bytes::Bytes;

use super::block::{ROOM, RawBlock};
use super::error::EncodeError;
use super::layout::{CUT_MAX, CUT_MIN, CUT_SPAN, MAX_RECORD_BYTES};
use super::record::put_record;
use crate::types::KeyValue;

/// Gathers records into blocks.
///
/// Where a block ends depends on nothing but the keys and the lengths of the values, so a state
/// always gives the same blocks, however and in however many parts it was read.
#[derive(Debug, Default)]
pub struct Cutter {
    ordinal: u64,
    open: Option<RawBlock>,
    ends: BlockEnds,
}

impl Cutter {
    /// A cutter before the first record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next record in key order, and gives the block that it completed, if it did.
    ///
    /// # Errors
    ///
    /// If the key is empty or not above the one before, or the record exceeds
    /// [`MAX_RECORD_BYTES`]. Nothing of the record was taken then.
    pub fn push(&mut self, kv: &KeyValue) -> Result<Option<RawBlock>, EncodeError> {
        let ends = self.ends.push(kv)?;
        let ordinal = self.ordinal;
        let block = self.open.get_or_insert_with(|| RawBlock::starting_at(ordinal, &kv.key));
        put_record(&mut block.frame, kv);
        block.records += 1;
        block.bytes += content_len(kv);
        Ok(if ends { self.cut() } else { None })
    }

    /// The last block, if records are left for one.
    #[must_use]
    pub fn finish(mut self) -> Option<RawBlock> {
        self.cut()
    }

    fn cut(&mut self) -> Option<RawBlock> {
        let mut block = self.open.take()?;
        self.ordinal += 1;
        block.last_key = Bytes::copy_from_slice(&self.ends.last_key);
        Some(block)
    }
}

/// Where blocks end, for those who need no copy of their records.
#[derive(Debug, Default)]
pub(crate) struct BlockEnds {
    /// Bytes of the block so far.
    size: u64,
    /// A copy: counting one more reference to each key, and one less, costs more than its few bytes.
    last_key: Vec<u8>,
}

impl BlockEnds {
    /// Takes the next record in key order; whether it completes a block.
    pub(crate) fn push(&mut self, kv: &KeyValue) -> Result<bool, EncodeError> {
        self.admit(kv)?;
        self.last_key.clear();
        self.last_key.extend_from_slice(&kv.key);
        let len = content_len(kv);
        self.size += len;
        let ends = ends_block(self.size, len, &kv.key);
        if ends {
            self.size = 0;
        }
        Ok(ends)
    }

    fn admit(&self, kv: &KeyValue) -> Result<(), EncodeError> {
        let bytes = kv.key.len().saturating_add(kv.value.len());
        if bytes > MAX_RECORD_BYTES {
            return Err(EncodeError::RecordTooLarge { key: kv.key.clone(), bytes });
        }
        if kv.key.is_empty() {
            return Err(EncodeError::EmptyKey);
        }
        // Before the first record the last key is empty, and below every other.
        if kv.key <= self.last_key {
            return Err(EncodeError::KeyOrder { key: kv.key.clone() });
        }
        Ok(())
    }
}

/// Bytes of key and value.
fn content_len(kv: &KeyValue) -> u64 {
    (kv.key.len() + kv.value.len()) as u64
}

/// Three of four blocks are shorter; others grow.
const COMMON_BLOCK_BYTES: usize = 384 << 10;

impl RawBlock {
    fn starting_at(ordinal: u64, first_key: &[u8]) -> Self {
        let mut frame = Vec::with_capacity(COMMON_BLOCK_BYTES);
        frame.resize(ROOM, 0);
        Self {
            ordinal,
            frame,
            records: 0,
            bytes: 0,
            first_key: Bytes::copy_from_slice(first_key),
            last_key: Bytes::new(),
        }
    }
}

/// The cut rule: whether a block of `size` bytes of keys and values ends with the record that it
/// ends with so far, which has `len` of them.
///
/// Past the minimum, each byte ends the block with chance 1/span, decided by the key's hash: so
/// blocks have the same length on average whatever the length of records, and inserting a
/// record moves no more than the ends next to it.
fn ends_block(size: u64, len: u64, key: &[u8]) -> bool {
    if size < CUT_MIN {
        return false;
    }
    size >= CUT_MAX || u64::from(key_hash(key)) * CUT_SPAN < len << 32
}

fn key_hash(key: &[u8]) -> u32 {
    let [a, b, c, d, ..] = *blake3::hash(key).as_bytes();
    u32::from_le_bytes([a, b, c, d])
}
