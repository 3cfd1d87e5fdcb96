//! The hashes of the format: checks, block hashes, roots.

use std::fmt;

use super::layout::{CONTENT_LABEL, HASH_LEN};
use super::record::put_record;
use crate::types::KeyValue;

/// A BLAKE3-256 hash that stands for a whole state, content or archive. Shown as lowercase hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Root(pub [u8; HASH_LEN]);

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({self})")
    }
}

pub(crate) type Hash = [u8; HASH_LEN];

/// BLAKE3-256 of bytes that lie together.
pub(crate) fn hash(bytes: &[u8]) -> Hash {
    blake3::hash(bytes).into()
}

/// The state hash of the block that these records make.
pub(crate) fn state_hash(kvs: &[KeyValue]) -> Hash {
    let mut raw = Vec::new();
    kvs.iter().for_each(|kv| put_record(&mut raw, kv));
    hash(&raw)
}

/// The content hash of the block that these records make.
pub(crate) fn content_hash(kvs: &[KeyValue]) -> Hash {
    let mut hasher = ContentHasher::default();
    kvs.iter().for_each(|kv| hasher.add(&kv.key, &kv.value));
    hasher.finish()
}

/// A root in the making: its label, then what is added.
#[derive(Clone, Debug)]
pub(crate) struct RootHasher(blake3::Hasher);

impl RootHasher {
    pub(crate) fn new(label: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(label);
        Self(hasher)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn root(&self) -> Root {
        Root(self.0.finalize().into())
    }
}

/// The content root in the making, out of the content hashes of all blocks, in order.
#[derive(Clone, Debug)]
pub(crate) struct ContentRoot(RootHasher);

impl ContentRoot {
    pub(crate) fn new() -> Self {
        Self(RootHasher::new(CONTENT_LABEL))
    }

    pub(crate) fn add(&mut self, block: &Hash) {
        self.0.add(block);
    }

    pub(crate) fn root(&self) -> Root {
        self.0.root()
    }
}

/// The content hash of a block: over lengths, keys and values, nothing else.
///
/// BLAKE3 is several times faster on long inputs than on the short pieces that keys are, hence the
/// buffer. It is bounded, since a block may be as long as one huge record.
#[derive(Debug, Default)]
pub(crate) struct ContentHasher {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

/// Enough for BLAKE3's widest SIMD, small enough for the cache. The hasher is given nothing but multiples of this
/// power of two: behind an odd length it falls back to short runs until its tree is even again.
const BUFFER_BYTES: usize = 64 << 10;

impl ContentHasher {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.add_piece(key);
        self.add_piece(value);
    }

    fn add_piece(&mut self, piece: &[u8]) {
        // Records are limited far below 4 GiB, by the cutter and by the reader.
        let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        self.add_bytes(&len.to_le_bytes());
        self.add_bytes(piece);
    }

    fn add_bytes(&mut self, mut bytes: &[u8]) {
        while let Some((fitting, rest)) = bytes.split_at_checked(BUFFER_BYTES - self.buffer.len()) {
            self.buffer.extend_from_slice(fitting);
            self.flush();
            // What fills the buffer many times needs no copy.
            let whole = rest.len() - rest.len() % BUFFER_BYTES;
            let (whole, rest) = rest.split_at(whole);
            self.hasher.update(whole);
            bytes = rest;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn flush(&mut self) {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
    }

    pub(crate) fn finish(mut self) -> Hash {
        self.flush();
        self.hasher.finalize().into()
    }
}
