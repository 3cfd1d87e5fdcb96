//! What `etcdctl get -w json` prints, read record by record: it is one object, however much it holds.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::base64_bytes;
use super::gather::{Facts, Gathered, admit, unknown_origin};
use super::json_lines::why_not;
use super::lines::{MAX_LINE_BYTES, cannot_read};
use super::metered::Metered;
use super::sorter::Sorter;
use crate::archive::{Header, Lease};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, KeyValue, LeaseId, MemberId, Revision};

pub(super) fn gather(mut reader: impl BufRead) -> Result<Gathered> {
    check_start(&mut reader)?;
    let left = Cell::new(MAX_LINE_BYTES);
    let (sorter, facts) = (Sorter::new(), Facts::default());
    let mut taken = Taken { sorter, facts, records: 0, values: false, failed: None, left: &left };
    let mut json = serde_json::Deserializer::from_reader(Metered::new(reader, &left));
    let answer = Answer(&mut taken).deserialize(&mut json);
    let answer = answer.and_then(|answer| {
        left.set(MAX_LINE_BYTES);
        json.end().map(|()| answer)
    });
    if let Some(failed) = taken.failed.take() {
        return Err(failed);
    }
    let header = answer.map_err(refused)?.checked(&taken)?;
    let ends = taken.sorter.ends().cloned();
    let records = taken.sorter.finish()?;
    Ok(Gathered { header, range: None, records, ends, facts: taken.facts, end: None })
}

/// etcdctl's other forms begin with a key, a quote or binary data.
fn check_start(reader: &mut impl BufRead) -> Result<()> {
    match reader.fill_buf().map_err(cannot_read)?.first() {
        None | Some(b'{' | b' ' | b'\t' | b'\r' | b'\n') => Ok(()),
        Some(_) => {
            let what = "line 1: no JSON object begins here; of what etcdctl prints, only that of `etcdctl get -w json` \
                        can be read: the plain form does not tell where a value ends";
            Err(Error::new(ErrorKind::Corrupt, what))
        }
    }
}

/// The records so far.
struct Taken<'a> {
    sorter: Sorter,
    facts: Facts,
    records: u64,
    /// Whether any has a value.
    values: bool,
    /// Why no more can be taken, which is not the text's fault.
    failed: Option<Error>,
    /// How long the next one may be.
    left: &'a Cell<u64>,
}

impl Taken<'_> {
    fn push(&mut self, kv: KeyValue) -> Result<(), String> {
        let kv = admit(kv)?;
        self.left.set(MAX_LINE_BYTES);
        self.records += 1;
        self.values |= !kv.value.is_empty();
        self.facts.leases.extend(kv.lease.map(|id| (id, unknown_times(id))));
        self.sorter.push(kv).map_err(|error| {
            self.failed = Some(error);
            "its record can't be taken".to_owned()
        })
    }
}

/// Listed all the same, since comparing goes by whether an archive has leases. Without times, as one that is gone.
fn unknown_times(id: LeaseId) -> Lease {
    Lease { id, granted_ttl: Duration::ZERO, remaining_ttl: Duration::ZERO }
}

/// What stands around the records.
struct Envelope {
    header: HeaderObject,
    count: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderObject {
    cluster_id: u64,
    member_id: u64,
    revision: i64,
    #[serde(default, rename = "raft_term")]
    _raft_term: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordObject {
    #[serde(with = "base64_bytes")]
    key: Bytes,
    #[serde(default)]
    create_revision: i64,
    #[serde(default)]
    mod_revision: i64,
    #[serde(default)]
    version: i64,
    #[serde(default, with = "base64_bytes")]
    value: Bytes,
    #[serde(default)]
    lease: i64,
}

impl Envelope {
    fn checked(self, taken: &Taken<'_>) -> Result<Header> {
        let (held, count) = (taken.records, self.count);
        if held != count {
            let what = format!("the text holds {held} keys of {count}: get them without --limit");
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        if held > 0 && !taken.values {
            let what = "no key of the text has a value: it was made with --keys-only. If the values are indeed all \
                        empty, import it as json lines";
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        let HeaderObject { cluster_id, member_id, revision, .. } = self.header;
        let (cluster_id, member_id) = (ClusterId(cluster_id), MemberId(member_id));
        Ok(Header { cluster_id, member_id, revision: Revision(revision), ..unknown_origin() })
    }
}

impl From<RecordObject> for KeyValue {
    fn from(record: RecordObject) -> Self {
        Self {
            key: record.key,
            value: record.value,
            create_revision: Revision(record.create_revision),
            mod_revision: Revision(record.mod_revision),
            version: record.version,
            lease: LeaseId::from_wire(record.lease),
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Header,
    Kvs,
    More,
    Count,
}

/// The whole object.
struct Answer<'t, 'a>(&'t mut Taken<'a>);

impl<'de> DeserializeSeed<'de> for Answer<'_, '_> {
    type Value = Envelope;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Envelope, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_, '_> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let (mut header, mut count) = (None, 0);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Header => header = Some(map.next_value()?),
                Field::Kvs => map.next_value_seed(Kvs(&mut *self.0))?,
                // The count tells as well.
                Field::More => drop(map.next_value::<bool>()?),
                Field::Count => count = map.next_value()?,
            }
        }
        let header = header.ok_or_else(|| A::Error::missing_field("header"))?;
        Ok(Envelope { header, count })
    }
}

/// The records.
struct Kvs<'t, 'a>(&'t mut Taken<'a>);

impl<'de> DeserializeSeed<'de> for Kvs<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Kvs<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(record) = list.next_element::<RecordObject>()? {
            self.0.push(record.into()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Tells the place, and nothing of a value.
fn refused(error: serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let why = match error.classify() {
        Category::Io if error.io_error_kind() != Some(io::ErrorKind::FileTooLarge) => {
            return cannot_read(error.into());
        }
        Category::Io => format!("what ends at column {column} is longer than 64 MiB, which no record needs"),
        Category::Eof => "the text ends before its object does: it was cut off".to_owned(),
        Category::Data => why_not(&error),
        Category::Syntax => format!("it is not the JSON of one answer at column {column}"),
    };
    Error::new(ErrorKind::Corrupt, format!("line {line}: {why}"))
}
