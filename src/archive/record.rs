//! Records: `mvccpb.KeyValue` messages with their length in front, in the one canonical form.

use std::ops::Range;

use bytes::Bytes;

use super::layout::MAX_RECORD_BYTES;
use super::wire::{
    Malformed, Reader, bytes_field_len, bytes_tag, put_bytes, put_u64, put_varint, u64_field_len, varint_tag,
};
use crate::types::{KeyValue, LeaseId, Revision};

const KEY: u8 = bytes_tag(1);
const CREATE_REVISION: u8 = varint_tag(2);
const MOD_REVISION: u8 = varint_tag(3);
const VERSION: u8 = varint_tag(4);
const VALUE: u8 = bytes_tag(5);
const LEASE: u8 = varint_tag(6);

/// Appends the record.
pub(crate) fn put_record(out: &mut Vec<u8>, kv: &KeyValue) {
    let create = kv.create_revision.0.cast_unsigned();
    let modified = kv.mod_revision.0.cast_unsigned();
    let version = kv.version.cast_unsigned();
    let lease = LeaseId::to_wire(kv.lease).cast_unsigned();
    let numbers: usize = [create, modified, version, lease].map(u64_field_len).iter().sum();
    let len = bytes_field_len(&kv.key) + bytes_field_len(&kv.value) + numbers;
    put_varint(out, len as u64);
    put_bytes(out, KEY, &kv.key);
    put_u64(out, CREATE_REVISION, create);
    put_u64(out, MOD_REVISION, modified);
    put_u64(out, VERSION, version);
    put_bytes(out, VALUE, &kv.value);
    put_u64(out, LEASE, lease);
}

/// A record inside the bytes of its block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    create_revision: u64,
    mod_revision: u64,
    version: u64,
    lease: u64,
}

impl<'a> Record<'a> {
    /// Takes the next record. Accepts only what [`put_record`] writes, so that a state has one spelling.
    pub(crate) fn read(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut fields = Reader::new(from.delimited()?);
        let fields = &mut fields;
        let record = Self {
            key: delimited(fields, KEY)?,
            create_revision: number(fields, CREATE_REVISION)?,
            mod_revision: number(fields, MOD_REVISION)?,
            version: number(fields, VERSION)?,
            value: delimited(fields, VALUE)?,
            lease: number(fields, LEASE)?,
        };
        let well_formed =
            fields.is_empty() && !record.key.is_empty() && record.content_len() <= MAX_RECORD_BYTES;
        well_formed.then_some(record).ok_or(Malformed)
    }

    /// Bytes of key and value.
    pub(crate) fn content_len(&self) -> usize {
        self.key.len() + self.value.len()
    }

    pub(crate) fn is_leased(&self) -> bool {
        self.lease != 0
    }

    /// The record as slices of the block that it lies in.
    pub(crate) fn to_key_value(self, block: &Bytes) -> KeyValue {
        KeyValue {
            key: block.slice_ref(self.key),
            value: block.slice_ref(self.value),
            create_revision: Revision(self.create_revision.cast_signed()),
            mod_revision: Revision(self.mod_revision.cast_signed()),
            version: self.version.cast_signed(),
            lease: LeaseId::from_wire(self.lease.cast_signed()),
        }
    }
}

/// A field that is left out when 0; a 0 that was written all the same is not canonical.
fn number(fields: &mut Reader<'_>, tag: u8) -> Result<u64, Malformed> {
    if !fields.skip(tag) {
        return Ok(0);
    }
    fields.varint().and_then(|value| if value == 0 { Err(Malformed) } else { Ok(value) })
}

/// The same for bytes.
fn delimited<'a>(fields: &mut Reader<'a>, tag: u8) -> Result<&'a [u8], Malformed> {
    if !fields.skip(tag) {
        return Ok(&[]);
    }
    fields.delimited().and_then(|value| if value.is_empty() { Err(Malformed) } else { Ok(value) })
}

/// The records of a run that was validated before.
#[derive(Clone, Debug)]
pub struct Records {
    raw: Bytes,
    at: Range<usize>,
    left: usize,
}

impl Records {
    pub(crate) fn new(raw: Bytes, records: u32) -> Self {
        let at = 0..raw.len();
        Self { raw, at, left: records as usize }
    }
}

impl Iterator for Records {
    type Item = KeyValue;

    fn next(&mut self) -> Option<KeyValue> {
        let rest = self.raw.get(self.at.clone())?;
        let mut reader = Reader::new(rest);
        // An error would be the end of a run that was never validated; there is none.
        let record = Record::read(&mut reader).ok()?;
        self.at.start = self.at.end - reader.remaining();
        self.left = self.left.saturating_sub(1);
        Some(record.to_key_value(&self.raw))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Records {}
