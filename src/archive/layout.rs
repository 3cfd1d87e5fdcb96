//! Every number of docs/format.md, under the name that it has there; a test holds the two together.

/// First bytes of every archive. The high bit and the line ends reveal a transfer in text mode, as in PNG.
pub(crate) const MAGIC: [u8; 8] = *b"\x89ARK\r\n\x1a\n";
/// Raised when an older reader could no longer make sense of the file.
pub(crate) const MAJOR: u16 = 1;
/// Raised when frames or fields are added that an older reader may skip.
pub(crate) const MINOR: u16 = 0;

// Preamble.
pub(crate) const MAGIC_LEN: usize = 8;
pub(crate) const MAJOR_LEN: usize = 2;
pub(crate) const MINOR_LEN: usize = 2;
pub(crate) const PREAMBLE_LEN: usize = MAGIC_LEN + MAJOR_LEN + MINOR_LEN;

// Frame header.
/// Unlikely in data, so that what follows a damaged stretch can be found again.
pub(crate) const MARKER: [u8; 4] = *b"\xf7AFR";
pub(crate) const MARKER_LEN: usize = 4;
pub(crate) const TYPE_LEN: usize = 1;
pub(crate) const FRAME_RESERVED_LEN: usize = 3;
pub(crate) const PAYLOAD_LEN_LEN: usize = 4;
pub(crate) const FRAME_HEADER_LEN: usize = MARKER_LEN + TYPE_LEN + FRAME_RESERVED_LEN + PAYLOAD_LEN_LEN;

/// BLAKE3-256, as long wherever it appears.
pub(crate) const HASH_LEN: usize = 32;
/// What a frame takes besides its payload.
pub(crate) const FRAME_OVERHEAD: usize = FRAME_HEADER_LEN + HASH_LEN;

// Block header.
pub(crate) const ORDINAL_LEN: usize = 8;
pub(crate) const RAW_LEN_LEN: usize = 4;
pub(crate) const RECORD_COUNT_LEN: usize = 4;
pub(crate) const COMPRESSION_LEN: usize = 1;
pub(crate) const BLOCK_RESERVED_LEN: usize = 3;
pub(crate) const BLOCK_HEADER_LEN: usize =
    ORDINAL_LEN + RAW_LEN_LEN + RECORD_COUNT_LEN + COMPRESSION_LEN + BLOCK_RESERVED_LEN + HASH_LEN + HASH_LEN;

// Footer.
pub(crate) const FOOTER_COUNTER_LEN: usize = 8;
pub(crate) const FOOTER_COUNTERS: usize = 5;
pub(crate) const FOOTER_HASHES: usize = 4;
pub(crate) const FOOTER_LEN: usize = FOOTER_COUNTERS * FOOTER_COUNTER_LEN + FOOTER_HASHES * HASH_LEN;
pub(crate) const FOOTER_FRAME_LEN: usize = FRAME_OVERHEAD + FOOTER_LEN;

/// Set in the type of a frame that a reader must understand.
pub(crate) const CRITICAL: u8 = 0x80;

/// The frames of this version, in the order in which they come. A reader may meet others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FrameType {
    Header,
    Block,
    Leases,
    Auth,
    Members,
    Options,
    IndexLeaf,
    IndexRoot,
    Footer,
}

impl FrameType {
    pub(crate) const ALL: [Self; 9] = [
        Self::Header,
        Self::Block,
        Self::Leases,
        Self::Auth,
        Self::Members,
        Self::Options,
        Self::IndexLeaf,
        Self::IndexRoot,
        Self::Footer,
    ];

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.byte() == byte)
    }

    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Header => 0x81,
            Self::Block => 0x82,
            Self::Leases => 0x83,
            Self::Auth => 0x07,
            Self::Members => 0x08,
            Self::Options => 0x09,
            Self::IndexLeaf => 0x84,
            Self::IndexRoot => 0x85,
            Self::Footer => 0x86,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Header => "HEADER",
            Self::Block => "BLOCK",
            Self::Leases => "LEASES",
            Self::Auth => "AUTH",
            Self::Members => "MEMBERS",
            Self::Options => "OPTIONS",
            Self::IndexLeaf => "INDEX_LEAF",
            Self::IndexRoot => "INDEX_ROOT",
            Self::Footer => "FOOTER",
        }
    }
}

/// Types that later versions will use, so that nobody else gives them another meaning.
#[cfg(test)]
pub(crate) const RESERVED_TYPES: [(&str, u8); 1] = [("EVENTS", 0x8a)];

// Limits: a reader refuses what exceeds them before it allocates.
/// Longest payload of a BLOCK frame.
pub(crate) const MAX_PAYLOAD_BYTES: u32 = 64 << 20;
/// Longest payload of any other frame.
pub(crate) const MAX_META_BYTES: u32 = 8 << 20;
/// Longest block before compression.
pub(crate) const MAX_RAW_BYTES: u32 = 64 << 20;
/// Largest record, key and value together, in bytes. etcd's own default limit is 1.5 MiB a request.
pub const MAX_RECORD_BYTES: usize = 32 << 20;
/// Most leases in one frame. A longer slice takes several frames.
pub const MAX_LEASES_PER_FRAME: usize = 4096;
/// Most entries in one AUTH, MEMBERS or OPTIONS frame, in all of its lists together.
pub(crate) const MAX_ENTRIES: usize = 65_536;
/// Most blocks in one index leaf.
pub(crate) const LEAF_BLOCKS: usize = 256;
/// The index holds at most this much of a key.
pub(crate) const INDEX_KEY_BYTES: usize = 1024;
/// No record is shorter: its length, then tag, length and one byte of key.
pub(crate) const MIN_RECORD_LEN: u32 = 4;

/// What a search for frames behind damage hashes in vain before it is given up. Limits the work, not the memory.
pub(crate) const MAX_SEARCHED_BYTES: u64 = 1 << 30;
/// How many frames are searched for before it is given up.
pub(crate) const MAX_SEARCHES: usize = 1000;

// Cut rule, in bytes of keys and values.
pub(crate) const CUT_MIN: u64 = 64 << 10;
pub(crate) const CUT_SPAN: u64 = 192 << 10;
pub(crate) const CUT_MAX: u64 = 1 << 20;

// Compression byte of a block.
pub(crate) const COMPRESSION_NONE: u8 = 0;
pub(crate) const COMPRESSION_ZSTD: u8 = 1;

// What each root begins with, so that no hash can stand for another.
pub(crate) const STATE_LABEL: &[u8] = b"etcd-ark v1 state root\n";
pub(crate) const CONTENT_LABEL: &[u8] = b"etcd-ark v1 content root\n";
pub(crate) const ARCHIVE_LABEL: &[u8] = b"etcd-ark v1 archive root\n";
