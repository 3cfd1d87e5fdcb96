//! The little of protobuf's wire format that archives use.
//!
//! Written by hand rather than generated, for two reasons: records must be canonical, which protobuf
//! libraries do not check; and a message of many tiny entries must not make a reader allocate many
//! times its size, which they do not limit. Tests compare it with the generated code.

use bytes::Bytes;

/// These bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) const VARINT: u64 = 0;
pub(crate) const FIXED64: u64 = 1;
pub(crate) const DELIMITED: u64 = 2;
pub(crate) const FIXED32: u64 = 5;

/// A field of a message that may have been written by a newer program.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Delimited(&'a [u8]),
    /// A type that none of our fields has.
    Fixed,
}

impl<'a> Value<'a> {
    pub(crate) fn u64(&self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) => Ok(*value),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn u32(&self) -> Result<u32, Malformed> {
        u32::try_from(self.u64()?).map_err(|_| Malformed)
    }

    pub(crate) fn i64(&self) -> Result<i64, Malformed> {
        Ok(self.u64()?.cast_signed())
    }

    pub(crate) fn slice(&self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Delimited(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    /// The bytes as part of the message that they are in, without a copy.
    pub(crate) fn bytes(&self, message: &Bytes) -> Result<Bytes, Malformed> {
        Ok(message.slice_ref(self.slice()?))
    }

    pub(crate) fn string(&self) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.slice()?).map_err(|_| Malformed)?;
        Ok(text.to_owned())
    }
}

/// Reads a message from its front.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next field, known or not; `None` at the end of the message.
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => self.take(8).map(|_| Value::Fixed)?,
            DELIMITED => Value::Delimited(self.delimited()?),
            FIXED32 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        Ok(Some((number, value)))
    }

    /// Whether the next byte is this one, which is then taken: the tag of a field that may be absent.
    pub(crate) fn skip(&mut self, tag: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == tag => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// A varint in its shortest form; a longer one would give the same value two spellings.
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            let overflows = shift == 63 && bits > 1;
            let padded = byte == 0 && shift > 0;
            if overflows || padded {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A varint length and as many bytes.
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.take(usize::try_from(len).map_err(|_| Malformed)?)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// How many bytes the value takes as a varint.
pub(crate) fn varint_len(value: u64) -> usize {
    // One byte for every 7 bits begun, and one for zero.
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// The length of [`put_u64`]'s output.
pub(crate) fn u64_field_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

/// The length of [`put_bytes`]'s output.
pub(crate) fn bytes_field_len(value: &[u8]) -> usize {
    if value.is_empty() { 0 } else { 1 + varint_len(value.len() as u64) + value.len() }
}

/// A varint field below number 16; left out if 0, as proto3 does.
pub(crate) fn put_u64(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        put_varint(out, value);
    }
}

/// A bytes field below number 16; left out if empty, as proto3 does.
pub(crate) fn put_bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if !value.is_empty() {
        put_message(out, tag, value);
    }
}

/// A bytes or message field below number 16; written even if empty, since entries of a list count.
pub(crate) fn put_message(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// The tag of a varint field.
pub(crate) const fn varint_tag(field: u8) -> u8 {
    field << 3
}

/// The tag of a bytes, string or message field.
pub(crate) const fn bytes_tag(field: u8) -> u8 {
    field << 3 | 2
}
