//! What can be wrong with an archive, and what can't be written into one.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;

use super::layout::{FrameType, MAJOR, MAX_RECORD_BYTES, MINOR};
use crate::error::{Error, ErrorKind};
use crate::util::Escaped;

/// A fault in an archive, and where in the file it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormatError {
    /// Bytes from the start of the archive to the frame, or other part, that is at fault.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A frame's bytes are not those that were written.
    CheckMismatch {
        /// The frame's type, if the damage is not there.
        frame: u8,
    },
    /// A block's content hash is not that of its keys and values.
    ContentHashMismatch,
    /// The archive is whole, but faults were reported on the way, so it can't be vouched for.
    Damaged {
        /// How many faults were reported.
        faults: u64,
        /// How many records were good.
        records: u64,
        /// How many records the archive had, by its footer.
        stated: u64,
    },
    /// A block does not decompress to the length that it states.
    Decompression,
    /// The part is not what the index or footer that pointed at it says.
    EntryMismatch {
        /// What differs.
        what: &'static str,
    },
    /// The footer contradicts what was read.
    FooterMismatch {
        /// What differs.
        what: &'static str,
    },
    /// A frame stands where its type may not stand, or comes a second time.
    FrameOrder {
        /// The frame's type.
        frame: u8,
        /// The type of the frame before it; 0 if it is the first.
        after: u8,
    },
    /// A frame claims to be longer than any may be.
    FrameTooLarge {
        /// The frame's type.
        frame: u8,
        /// The payload length that it states.
        bytes: u32,
        /// The longest that is allowed.
        limit: u32,
    },
    /// The archive ends before its footer: the backup was cut off, or is still being written.
    Incomplete {
        /// How many records were whole.
        records: u64,
        /// How many blocks were whole.
        blocks: u64,
    },
    /// The index is not about the blocks that were read.
    IndexMismatch,
    /// A record's key is not above the one before it.
    KeyOrder {
        /// The later of the two keys.
        key: Bytes,
    },
    /// A lease's id is not above the one before it.
    LeaseOrder,
    /// There is no frame where one must be: its start, or the length of the one before, is damaged. What
    /// follows is searched for.
    LostFrame,
    /// A frame is undamaged but does not follow the format: a faulty program wrote it.
    Malformed {
        /// What could not be read.
        what: &'static str,
    },
    /// The archive was written in a version of the format that this program does not know.
    NewerVersion {
        /// Its major version.
        major: u16,
        /// Its minor version.
        minor: u16,
    },
    /// The file is encrypted, as age does it; an archive may be inside.
    Encrypted,
    /// The file is something else.
    NotAnArchive,
    /// A block is not the one that comes next: blocks are missing, doubled or swapped.
    Ordinal {
        /// The number that comes next.
        expected: u64,
        /// The number of the block that is there.
        found: u64,
    },
    /// The archive's first bytes are damaged, but a frame follows them.
    PreambleDamaged,
    /// So much looks like frames and is none that the search for the next one was given up.
    SearchGivenUp,
    /// A block's state hash is not that of its records.
    StateHashMismatch,
    /// The file went through a program that rewrites line ends.
    TextMode,
    /// Bytes follow the footer.
    TrailingBytes,
    /// Fewer bytes than the part has.
    Truncated,
    /// A block is compressed in a way that this program does not know.
    UnknownCompression(u8),
    /// A frame that must be understood has a type that this program does not know.
    UnknownCritical {
        /// The frame's type.
        frame: u8,
        /// The minor version of the archive.
        minor: u16,
        /// The program that wrote the archive.
        writer: String,
    },
}

impl Fault {
    pub(crate) fn at(self, offset: u64) -> FormatError {
        FormatError { offset, fault: self }
    }

    /// The type of the frame at fault, where one can be told.
    fn frame(&self) -> Option<u8> {
        let known = match self {
            Self::CheckMismatch { frame }
            | Self::FrameOrder { frame, .. }
            | Self::FrameTooLarge { frame, .. }
            | Self::UnknownCritical { frame, .. } => return Some(*frame),
            Self::ContentHashMismatch
            | Self::Decompression
            | Self::KeyOrder { .. }
            | Self::Ordinal { .. }
            | Self::StateHashMismatch
            | Self::UnknownCompression(_) => FrameType::Block,
            Self::FooterMismatch { .. } => FrameType::Footer,
            Self::IndexMismatch => FrameType::IndexRoot,
            Self::LeaseOrder => FrameType::Leases,
            _ => return None,
        };
        Some(known.byte())
    }

    fn meaning(&self) -> &'static str {
        match (self, self.frame().and_then(FrameType::from_byte)) {
            (Self::Incomplete { .. } | Self::Truncated, _) => "the end of the archive is missing",
            (Self::Encrypted | Self::NotAnArchive, _) => "nothing can be read",
            (Self::NewerVersion { .. } | Self::UnknownCritical { .. }, _) => {
                "this program can't tell what it holds"
            }
            (Self::PreambleDamaged | Self::TrailingBytes, _) => "no key is lost by this",
            (Self::Ordinal { found, expected }, _) if found > expected => "keys are missing in between",
            (Self::Ordinal { .. } | Self::FrameOrder { .. }, _) => {
                "parts were moved, or are another archive's"
            }
            (_, Some(FrameType::Header)) => {
                "what was backed up, and when, is unknown; no key is lost by this"
            }
            (_, Some(FrameType::Auth)) => "users and roles are lost; no key is",
            (_, Some(FrameType::Members | FrameType::Options)) => "facts for people are lost; no key is",
            (_, Some(FrameType::Leases)) => "leases are lost; their keys are not",
            (_, Some(FrameType::IndexLeaf | FrameType::IndexRoot | FrameType::Footer)) => {
                "keys can't be looked up, nor their number be vouched for; no key is lost by this"
            }
            (_, Some(FrameType::Block)) => "the keys of a block are lost",
            _ => "what stood here is lost",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Encrypted => {
                "decrypt it first, or open it with an identity or its passphrase (ark: --identity, --passphrase-file)"
            }
            Self::NotAnArchive => "check that this is the right file, and that it was decrypted",
            Self::TextMode => "transfer the archive again in binary mode",
            Self::NewerVersion { .. } | Self::UnknownCritical { .. } | Self::UnknownCompression(_) => {
                "read it with a newer etcd-ark"
            }
            Self::Incomplete { .. } | Self::Truncated => {
                "use another archive, or fetch this one again if it was copied"
            }
            Self::TrailingBytes => "the archive ends at this offset; cut the file there to read it",
            Self::Malformed { .. } | Self::KeyOrder { .. } | Self::LeaseOrder => {
                "report this to the authors of the program that wrote it"
            }
            _ => "use another copy of the archive, or salvage what is left of this one",
        }
    }
}

impl FormatError {
    /// Whether nothing behind the fault can be read. After any other fault the decoder goes on with
    /// the next frame.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        use Fault::{
            Damaged, Encrypted, Incomplete, NewerVersion, NotAnArchive, SearchGivenUp, TextMode, Truncated,
            UnknownCritical,
        };
        matches!(
            self.fault,
            Damaged { .. }
                | Encrypted
                | Incomplete { .. }
                | NewerVersion { .. }
                | NotAnArchive
                | SearchGivenUp
                | TextMode
                | Truncated
                | UnknownCritical { .. }
        )
    }

    /// The name of the frame at fault, as docs/format.md has it, if it can be told.
    #[must_use]
    pub fn frame(&self) -> Option<String> {
        self.fault.frame().map(|frame| match FrameType::from_byte(frame) {
            Some(known) => known.name().to_owned(),
            None => format!("{frame:02x}"),
        })
    }

    /// What the fault means for what the archive holds.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        self.fault.meaning()
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.fault.advice()
    }

    fn kind(&self) -> ErrorKind {
        match self.fault {
            Fault::NewerVersion { .. } | Fault::UnknownCritical { .. } | Fault::UnknownCompression(_) => {
                ErrorKind::Unsupported
            }
            Fault::Encrypted => ErrorKind::Auth,
            _ => ErrorKind::Corrupt,
        }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}; {}", self.offset, self.fault, self.fault.advice())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckMismatch { frame } => write!(f, "{} is damaged", Name(*frame)),
            Self::ContentHashMismatch => f.write_str("the block's content hash is wrong"),
            Self::Damaged { faults, records, stated } => {
                write!(f, "the archive has {faults} faults; {records} of {stated} records are good")
            }
            Self::Decompression => f.write_str("the block does not decompress to its stated length"),
            Self::EntryMismatch { what } => write!(f, "{what} differs from what the index says"),
            Self::FooterMismatch { what } => write!(f, "{what} differs from what the footer says"),
            Self::FrameOrder { frame, after: 0 } => write!(f, "{} can't come first", Name(*frame)),
            Self::FrameOrder { frame, after } => {
                write!(f, "{} can't follow {}", Name(*frame), Name(*after))
            }
            Self::FrameTooLarge { frame, bytes, limit } => {
                write!(f, "{} claims {bytes} bytes where {limit} is the limit", Name(*frame))
            }
            Self::Incomplete { records, blocks } => {
                write!(f, "the archive ends before its footer, after {records} records in {blocks} blocks")
            }
            Self::IndexMismatch => f.write_str("the index does not match the blocks"),
            Self::KeyOrder { key } => {
                write!(f, "key \"{}\" is not above the one before it", Escaped(key))
            }
            Self::LeaseOrder => f.write_str("a lease id is not above the one before it"),
            Self::LostFrame => f.write_str("no frame begins here"),
            Self::Malformed { what } => write!(f, "{what} does not follow the format"),
            Self::NewerVersion { major, minor } => {
                write!(f, "the archive has format version {major}.{minor}, known here is {MAJOR}.{MINOR}")
            }
            Self::Encrypted => f.write_str("the file is encrypted"),
            Self::NotAnArchive => f.write_str("this is not an archive"),
            Self::Ordinal { expected, found } => {
                write!(f, "block {found} stands where block {expected} belongs")
            }
            Self::PreambleDamaged => f.write_str("the archive's first bytes are damaged"),
            Self::SearchGivenUp => f.write_str("the search for the next frame was given up"),
            Self::StateHashMismatch => f.write_str("the block's state hash is wrong"),
            Self::TextMode => f.write_str("the archive was changed by a transfer in text mode"),
            Self::TrailingBytes => f.write_str("something follows the end of the archive"),
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::UnknownCompression(byte) => write!(f, "the block's compression {byte} is unknown"),
            Self::UnknownCritical { frame, minor, writer } => {
                write!(
                    f,
                    "{} is needed but unknown; the archive has format version {MAJOR}.{minor}",
                    Name(*frame)
                )?;
                write!(f, " and was written by \"{}\"", Escaped(writer.as_bytes()))
            }
        }
    }
}

/// A frame's type as people know it.
struct Name(u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match FrameType::from_byte(self.0) {
            Some(known) => write!(f, "a {} frame", known.name()),
            None => write!(f, "a frame of type {:#04x}", self.0),
        }
    }
}

impl StdError for FormatError {}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        let message = match error.fault {
            _ if error.kind() == ErrorKind::Unsupported => "the archive needs a newer program",
            Fault::Encrypted | Fault::NotAnArchive => "the file can't be read as an archive",
            Fault::Incomplete { .. } => "the archive is incomplete",
            _ => "the archive is damaged",
        };
        Self::new(error.kind(), message).with_source(error)
    }
}

/// Why something can't be written into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A block that is not the next one.
    BlockOrder {
        /// The number of the block that comes next.
        expected: u64,
        /// The number of the block that was given.
        found: u64,
    },
    /// A record without a key; etcd has none.
    EmptyKey,
    /// A record whose key is not above the one before it.
    KeyOrder {
        /// The later of the two keys.
        key: Bytes,
    },
    /// Leases whose ids don't ascend.
    LeaseOrder,
    /// A lease with id 0, which stands for none.
    LeaseZero,
    /// A frame that belongs before the last one.
    FrameOrder {
        /// Which frame.
        frame: &'static str,
        /// The last frame.
        after: &'static str,
    },
    /// Facts that no reader would take: not sorted, without a name, or too many.
    Invalid {
        /// Which frame.
        frame: &'static str,
    },
    /// A frame that exceeds its limit: a header with enormous range bounds, or an index of billions of blocks.
    MetaTooLarge {
        /// Which frame.
        frame: &'static str,
        /// How long it would have been.
        bytes: usize,
    },
    /// A record above [`MAX_RECORD_BYTES`].
    RecordTooLarge {
        /// Its key.
        key: Bytes,
        /// Bytes of key and value.
        bytes: usize,
    },
}

impl EncodeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::MetaTooLarge { .. } | Self::RecordTooLarge { .. } => ErrorKind::TooLarge,
            // The server broke its promise of sorted, unique, non-empty keys, and of ids that are ids.
            Self::EmptyKey | Self::KeyOrder { .. } | Self::LeaseZero => ErrorKind::Protocol,
            _ => ErrorKind::Config,
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockOrder { expected, found } => {
                write!(f, "block {found} was appended where block {expected} belongs")
            }
            Self::EmptyKey => f.write_str("a record has no key"),
            Self::KeyOrder { key } => {
                write!(f, "key \"{}\" is not above the one before it", Escaped(key))
            }
            Self::LeaseOrder => f.write_str("leases must be sorted by id, without duplicates"),
            Self::LeaseZero => f.write_str("a lease has id 0"),
            Self::FrameOrder { frame, after } => write!(f, "{frame} was appended after {after}"),
            Self::Invalid { frame } => write!(f, "the {frame} frame would not be valid"),
            Self::MetaTooLarge { frame, bytes } => write!(f, "the {frame} would take {bytes} bytes"),
            Self::RecordTooLarge { key, bytes } => write!(
                f,
                "the record of key \"{}\" has {bytes} bytes; an archive holds up to {MAX_RECORD_BYTES}",
                Escaped(key)
            ),
        }
    }
}

impl StdError for EncodeError {}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new(error.kind(), "the archive could not be written").with_source(error)
    }
}
