//! The preamble and the frames that follow it.

use bytes::Bytes;

use super::error::{EncodeError, Fault, FormatError};
use super::fixed::{Fields, overwrite};
use super::hash::{Hash, hash};
use super::layout::{
    FOOTER_LEN, FRAME_HEADER_LEN, FRAME_OVERHEAD, FRAME_RESERVED_LEN, FrameType, HASH_LEN, MAGIC, MAJOR,
    MARKER, MARKER_LEN, MAX_META_BYTES, MAX_PAYLOAD_BYTES, MINOR, PREAMBLE_LEN, TYPE_LEN,
};

/// What every file in the age format begins with, and little else; an archive may be inside. The decoder must see all of
/// it, or what it says of a file would depend on the pieces in which that comes.
pub(crate) const AGE_MAGIC: &[u8] = b"age-encryption.";
const _: () = assert!(AGE_MAGIC.len() <= PREAMBLE_LEN + MARKER_LEN, "the decoder waits for no more");

/// The first bytes of an archive.
pub(crate) fn preamble() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&MAJOR.to_le_bytes());
    out.extend_from_slice(&MINOR.to_le_bytes());
    out
}

/// Reads the preamble at the start of `bytes` and gives the minor version.
pub(crate) fn read_preamble(bytes: &[u8]) -> Result<u16, FormatError> {
    check_magic(bytes)?;
    let mut fields = Fields(bytes.get(MAGIC.len()..).unwrap_or_default());
    let (Some(major), Some(minor)) = (fields.u16(), fields.u16()) else {
        return Err(Fault::Truncated.at(0));
    };
    match major {
        MAJOR => Ok(minor),
        0 => Err(Fault::NotAnArchive.at(0)),
        _ => Err(Fault::NewerVersion { major, minor }.at(0)),
    }
}

/// Whether this can be how an archive begins; it may be too short to tell.
pub(crate) fn check_magic(bytes: &[u8]) -> Result<(), FormatError> {
    // The letters survive a transfer in text mode; what stands around them is there to be destroyed.
    const NAME: &[u8] = b"ARK";
    if bytes.iter().zip(&MAGIC).all(|(found, magic)| found == magic) {
        return Ok(());
    }
    let named = bytes.get(1..).is_some_and(|rest| rest.starts_with(NAME));
    Err(match () {
        () if named => Fault::TextMode,
        () if bytes.starts_with(AGE_MAGIC) => Fault::Encrypted,
        () => Fault::NotAnArchive,
    }
    .at(0))
}

/// The frame of a payload other than a block.
pub(crate) fn meta_frame(kind: FrameType, payload: &[u8]) -> Result<Vec<u8>, EncodeError> {
    if payload.len() > MAX_META_BYTES as usize {
        return Err(EncodeError::MetaTooLarge { frame: kind.name(), bytes: payload.len() });
    }
    let mut frame = Vec::with_capacity(FRAME_OVERHEAD + payload.len());
    frame.resize(FRAME_HEADER_LEN, 0);
    frame.extend_from_slice(payload);
    complete_frame(&mut frame, kind.byte());
    Ok(frame)
}

/// Makes a frame of a payload that has room for the frame header in front. Returns the check.
pub(crate) fn complete_frame(frame: &mut Vec<u8>, kind: u8) -> Hash {
    // Payloads are limited far below 4 GiB, by `meta_frame` and by the cutter.
    let payload_len = u32::try_from(frame.len() - FRAME_HEADER_LEN).unwrap_or(u32::MAX);
    overwrite(frame, 0, &MARKER);
    overwrite(frame, MARKER_LEN, &[kind]);
    overwrite(frame, MARKER_LEN + TYPE_LEN + FRAME_RESERVED_LEN, &payload_len.to_le_bytes());
    let check = hash(frame);
    frame.extend_from_slice(&check);
    check
}

/// The length of the whole frame that begins here, by its header, if that is within the limits.
pub(crate) fn stated_frame_len(bytes: &[u8], offset: u64) -> Result<usize, FormatError> {
    let mut fields = Fields(bytes);
    let head = (fields.array(), fields.u8(), fields.array::<FRAME_RESERVED_LEN>(), fields.u32());
    let (Some(marker), Some(frame), Some(_), Some(bytes)) = head else {
        return Err(Fault::Truncated.at(offset));
    };
    if marker != MARKER {
        return Err(Fault::LostFrame.at(offset));
    }
    let limit = if frame == FrameType::Block.byte() { MAX_PAYLOAD_BYTES } else { MAX_META_BYTES };
    if bytes > limit {
        return Err(Fault::FrameTooLarge { frame, bytes, limit }.at(offset));
    }
    Ok(FRAME_OVERHEAD + bytes as usize)
}

/// Whether a frame can have this length. Whoever seeks reads, and allocates, as much as an entry says.
pub(crate) fn is_frame_len(frame_len: u32, payload_limit: u32) -> bool {
    let payload = (frame_len as usize).checked_sub(FRAME_OVERHEAD);
    payload.is_some_and(|len| len <= payload_limit as usize)
}

/// Whether the bytes of a frame are those that were written.
pub(crate) fn compare_check(frame: &[u8]) -> Result<(), Fault> {
    let (covered, check) = frame.split_last_chunk::<HASH_LEN>().ok_or(Fault::Truncated)?;
    let kind = frame.get(MARKER_LEN).copied().unwrap_or_default();
    if hash(covered) == *check { Ok(()) } else { Err(Fault::CheckMismatch { frame: kind }) }
}

/// How a decoder came by a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// It lies right behind the one before.
    #[default]
    Following,
    /// A search has found it.
    Found,
    /// There is none where one should be, and the search begins.
    Lost,
}

/// A frame as it lies in the file.
#[derive(Clone, Debug)]
pub struct Frame {
    offset: u64,
    bytes: Bytes,
    /// What is known to be wrong with it, before it is opened.
    pub(crate) fault: Option<Fault>,
    pub(crate) place: Place,
}

impl Frame {
    pub(crate) fn new(bytes: Bytes, offset: u64, place: Place) -> Self {
        Self { offset, bytes, fault: None, place }
    }

    /// What stands for a frame that can't be read.
    pub(crate) fn damaged(fault: Fault, offset: u64, place: Place) -> Self {
        Self { offset, bytes: Bytes::new(), fault: Some(fault), place }
    }

    /// A frame of exactly the length that its header states.
    pub(crate) fn whole(bytes: Bytes, offset: u64) -> Result<Self, FormatError> {
        if stated_frame_len(&bytes, offset)? == bytes.len() {
            Ok(Self::new(bytes, offset, Place::Following))
        } else {
            Err(Fault::Truncated.at(offset))
        }
    }

    pub(crate) fn kind(&self) -> u8 {
        self.bytes.get(MARKER_LEN).copied().unwrap_or_default()
    }

    /// Where the frame begins, counted from the start of the archive.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether this is the end of the archive, unless damage made it look so.
    pub(crate) fn looks_like_footer(&self) -> bool {
        self.kind() == FrameType::Footer.byte() && self.len() == FRAME_OVERHEAD + FOOTER_LEN
    }

    pub(crate) fn payload(&self) -> Bytes {
        self.bytes.slice(FRAME_HEADER_LEN..self.bytes.len() - HASH_LEN)
    }

    pub(crate) fn check(&self) -> Hash {
        self.bytes.last_chunk().copied().unwrap_or_default()
    }

    /// The frame, if it is what was written and of this type.
    pub(crate) fn verified(self, kind: FrameType) -> Result<Self, FormatError> {
        let frame = self.checked()?;
        if frame.kind() == kind.byte() {
            Ok(frame)
        } else {
            Err(Fault::EntryMismatch { what: "the frame's type" }.at(frame.offset))
        }
    }

    /// The frame, if it is what was written.
    pub(crate) fn checked(self) -> Result<Self, FormatError> {
        compare_check(&self.bytes).map_err(|fault| fault.at(self.offset))?;
        self.check_reserved()?;
        Ok(self)
    }

    pub(crate) fn check_reserved(&self) -> Result<(), FormatError> {
        let reserved = self.bytes.get(MARKER_LEN + TYPE_LEN..).and_then(<[u8]>::first_chunk);
        if reserved != Some(&[0; FRAME_RESERVED_LEN]) {
            return Err(Fault::Malformed { what: "a frame header" }.at(self.offset));
        }
        Ok(())
    }
}

/// Where the first frame begins.
pub(crate) const FIRST_FRAME: u64 = PREAMBLE_LEN as u64;
