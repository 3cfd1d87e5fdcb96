//! The first frame: what was backed up, from where, and when.

use bytes::Bytes;

use super::error::{EncodeError, Fault, FormatError};
use super::facts::Facts;
use super::frame::{Frame, meta_frame, preamble, read_preamble, stated_frame_len};
use super::layout::{FRAME_HEADER_LEN, FrameType, PREAMBLE_LEN};
use super::wire::{Malformed, Reader, Value, bytes_tag, put_bytes, put_u64, varint_tag};
use crate::types::{ClusterId, KeyRange, MemberId, Revision};

/// What was backed up, from where, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster that was read.
    pub cluster_id: ClusterId,
    /// The member that answered the read which pinned the revision.
    pub member_id: MemberId,
    /// The one revision at which every record was read.
    pub revision: Revision,
    /// The writer's clock when the backup began, milliseconds since 1970-01-01 UTC.
    pub created_unix_ms: i64,
    /// The version that the member reported, such as `3.5.1`.
    pub server_version: String,
    /// The program that wrote the archive, such as `etcd-ark 0.1.0`.
    pub writer: String,
    /// The keys that were asked for.
    pub range: KeyRange,
}

impl Header {
    /// How many bytes from the start of an archive [`Header::span`] wants to see.
    pub const PROBE_LEN: usize = PREAMBLE_LEN + FRAME_HEADER_LEN;

    /// The bytes that [`Header::parse`] takes, counted from the start of the archive: the way to read
    /// the header alone, from a source that can seek.
    ///
    /// # Errors
    ///
    /// If this is no archive, one of a newer major version, or a damaged one.
    pub fn span(probe: &[u8]) -> Result<std::ops::Range<u64>, FormatError> {
        read_preamble(probe)?;
        let frame = probe.get(PREAMBLE_LEN..).unwrap_or_default();
        let frame_len = stated_frame_len(frame, PREAMBLE_LEN as u64)?;
        Ok(0..(PREAMBLE_LEN + frame_len) as u64)
    }

    /// Reads the header from the bytes that [`Header::span`] named.
    ///
    /// # Errors
    ///
    /// If they are damaged, or not the start of an archive.
    pub fn parse(bytes: Bytes) -> Result<Self, FormatError> {
        read_preamble(&bytes)?;
        let offset = PREAMBLE_LEN as u64;
        let frame = Frame::whole(bytes.slice(PREAMBLE_LEN..), offset)?.verified(FrameType::Header)?;
        Self::decode(&frame.payload()).map_err(|Malformed| Fault::Malformed { what: "the header" }.at(offset))
    }

    /// The preamble and the header's frame.
    pub(crate) fn to_frame(&self) -> Result<(Vec<u8>, Vec<u8>), EncodeError> {
        Ok((preamble(), meta_frame(FrameType::Header, &self.encode())?))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (start, end) = self.range.to_wire();
        put_u64(&mut out, varint_tag(1), self.cluster_id.0);
        put_u64(&mut out, varint_tag(2), self.member_id.0);
        put_u64(&mut out, varint_tag(3), self.revision.0.cast_unsigned());
        put_u64(&mut out, varint_tag(4), self.created_unix_ms.cast_unsigned());
        put_bytes(&mut out, bytes_tag(5), self.server_version.as_bytes());
        put_bytes(&mut out, bytes_tag(6), self.writer.as_bytes());
        put_bytes(&mut out, bytes_tag(7), &start);
        put_bytes(&mut out, bytes_tag(8), &end);
        out
    }

    fn set(&mut self, number: u64, value: &Value<'_>) -> Result<(), Malformed> {
        match number {
            1 => self.cluster_id.0 = value.u64()?,
            2 => self.member_id.0 = value.u64()?,
            3 => self.revision.0 = value.i64()?,
            4 => self.created_unix_ms = value.i64()?,
            5 => self.server_version = value.string()?,
            6 => self.writer = value.string()?,
            _ => {}
        }
        Ok(())
    }
}

impl Facts for Header {
    const FRAME: FrameType = FrameType::Header;

    fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut fields = Reader::new(payload);
        let mut header = Self::default();
        let mut range = (Bytes::new(), Bytes::new());
        while let Some((number, value)) = fields.field()? {
            match number {
                7 => range.0 = value.bytes(payload)?,
                8 => range.1 = value.bytes(payload)?,
                _ => header.set(number, &value)?,
            }
        }
        header.range = KeyRange::from_wire(range.0, range.1);
        Ok(header)
    }
}

impl Default for Header {
    /// All keys, everything else unknown.
    fn default() -> Self {
        Self {
            cluster_id: ClusterId(0),
            member_id: MemberId(0),
            revision: Revision(0),
            created_unix_ms: 0,
            server_version: String::new(),
            writer: String::new(),
            range: KeyRange::all(),
        }
    }
}
