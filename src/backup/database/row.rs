//! Rows of the bucket that holds keys: a change each, in the order of revisions. Pure.

use std::cmp::Ordering;

use bytes::{Buf, Bytes};
use prost::Message;

use crate::pb::mvccpb;
use crate::types::{KeyRange, KeyValue, Revision};

const REVISION_LEN: usize = 17;
const SEPARATOR: u8 = b'_';
const DELETION: &[u8] = b"t";

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Bytes,
    /// As etcd wrote it; of a deleted key there is no more than the key.
    pub(super) record: Bytes,
    pub(super) is_deletion: bool,
}

impl Row {
    pub(super) fn new(record: Bytes, is_deletion: bool) -> Option<Self> {
        let key = mvccpb::KeyValue::decode(record.clone()).ok()?.key;
        Some(Self { key, record, is_deletion })
    }

    /// The row at this place, sharing no memory with the page that it stood on; `None` if the range does not hold
    /// its key.
    pub(super) fn within(range: &KeyRange, place: &[u8], record: &Bytes) -> Result<Option<Self>, Malformed> {
        let row = Self::new(record.clone(), is_deletion(place)?).ok_or(Malformed)?;
        // A row without a key is none: `etcdutl snapshot restore --bump-revision` leaves one.
        let wanted = !row.key.is_empty() && range.contains(&row.key);
        Ok(if wanted { Self::new(Bytes::copy_from_slice(record), row.is_deletion) } else { None })
    }

    /// What the key holds; `None` if it was deleted.
    pub(super) fn into_key_value(self) -> Option<KeyValue> {
        let record = if self.is_deletion { None } else { Some(self.record) };
        Some(mvccpb::KeyValue::decode(record?).ok()?.into())
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// What etcd would not write so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

fn is_deletion(place: &[u8]) -> Result<bool, Malformed> {
    match place.split_at_checked(REVISION_LEN) {
        Some((number, [])) if revision(number).is_some() => Ok(false),
        Some((number, DELETION)) if revision(number).is_some() => Ok(true),
        _ => Err(Malformed),
    }
}

/// The revision that a place begins with, in the bucket of keys or in the notes on compactions.
pub(super) fn revision(mut place: &[u8]) -> Option<Revision> {
    let shaped = place.len() >= REVISION_LEN && place.get(8) == Some(&SEPARATOR);
    shaped.then(|| Revision(place.get_i64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(main: i64, ending: &[u8]) -> Vec<u8> {
        [&main.to_be_bytes()[..], b"_", &0_i64.to_be_bytes(), ending].concat()
    }

    fn parse(place: &[u8], record: &'static [u8]) -> Result<Option<Row>, Malformed> {
        Row::within(&KeyRange::prefix("a"), place, &Bytes::from_static(record))
    }

    #[test]
    fn a_put_has_a_record_and_a_deletion_has_none() {
        // As etcd 3.5 writes them.
        let put = parse(&place(4, b""), b"\x0a\x01a\x10\x02\x18\x04\x20\x02\x2a\x013").unwrap().unwrap();
        let kv = put.into_key_value().unwrap();
        assert_eq!((&kv.key[..], &kv.value[..], kv.version), (&b"a"[..], &b"3"[..], 2));
        assert_eq!((kv.create_revision, kv.mod_revision), (Revision(2), Revision(4)));
        let deletion = parse(&place(5, b"t"), b"\x0a\x01a").unwrap().unwrap();
        assert_eq!((&*deletion.key.clone(), deletion.into_key_value()), (&b"a"[..], None));
        assert_eq!(revision(&place(5, b"t")), Some(Revision(5)));
    }

    #[test]
    fn keys_outside_and_rows_without_one_are_left_out() {
        assert_eq!(parse(&place(4, b""), b"\x0a\x01b"), Ok(None));
        assert_eq!(parse(&place(4, b""), b""), Ok(None));
    }

    #[test]
    fn what_etcd_does_not_write_is_refused() {
        let record = b"\x0a\x01a";
        assert_eq!(parse(&place(5, b"x"), record), Err(Malformed));
        assert_eq!(parse(b"short", record), Err(Malformed));
        assert_eq!(parse(&[0; REVISION_LEN], record), Err(Malformed));
        assert_eq!(parse(&place(5, b""), b"\xff"), Err(Malformed));
    }
}
