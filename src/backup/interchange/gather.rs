//! Text taken apart, checked and sorted. Blocking.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::SystemTime;

use bytes::Bytes;

use super::json_lines::{EndLine, Line};
use super::lines::Lines;
use super::sorter::{Sorted, Sorter};
use super::{TextFormat, from_etcdctl, shield};
use crate::archive::{Auth, Header, Lease, MAX_RECORD_BYTES, Members, Options};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, KeyRange, KeyValue, LeaseId, MemberId, Revision};

/// What a text holds.
pub(super) struct Gathered {
    pub(super) header: Header,
    /// Of which range it says that it has every key; `None` if it does not say.
    pub(super) range: Option<KeyRange>,
    pub(super) records: Sorted,
    /// The smallest and the largest key.
    pub(super) ends: Option<(Bytes, Bytes)>,
    pub(super) facts: Facts,
    pub(super) end: Option<EndLine>,
}

/// What a text holds beside keys.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) auth: Option<Auth>,
    pub(super) members: Option<Members>,
    pub(super) options: Option<Options>,
}

pub(super) fn gather(reader: impl BufRead, format: TextFormat) -> Result<Gathered> {
    match format {
        TextFormat::JsonLines => by_line(reader, Line::parse),
        TextFormat::Shield => by_line(reader, |line| {
            shield::parse(line).map(|(key, value)| Line::Record((&bare(key, value)).into()))
        }),
        TextFormat::Etcdctl => from_etcdctl::gather(reader),
    }
}

fn by_line(reader: impl BufRead, parse: impl Fn(&[u8]) -> Result<Line, String>) -> Result<Gathered> {
    let mut gatherer = Gatherer::new();
    let mut lines = Lines::new(reader);
    loop {
        let line = match lines.next()? {
            Some(line) => parse(line),
            None => return gatherer.finish(),
        };
        match line.and_then(|line| gatherer.take(line)) {
            Ok(Some(record)) => gatherer.sorter.push(record)?,
            Ok(None) => {}
            Err(why) => return Err(lines.refuse(why)),
        }
    }
}

/// A record of which key and value are known: as of a key that was just created.
fn bare(key: Bytes, value: Bytes) -> KeyValue {
    let first = Revision(1);
    KeyValue { key, value, create_revision: first, mod_revision: first, version: 1, lease: None }
}

/// All that is known of text that says nothing of itself.
pub(super) fn unknown_origin() -> Header {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Header {
        cluster_id: ClusterId(0),
        member_id: MemberId(0),
        revision: Revision(1),
        created_unix_ms: now.as_millis().try_into().unwrap_or(i64::MAX),
        writer: concat!("etcd-ark ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Header::default()
    }
}

/// The record, unless no archive can hold it.
pub(super) fn admit(kv: KeyValue) -> Result<KeyValue, String> {
    if kv.key.is_empty() {
        return Err("its key is empty, which no key in etcd is".to_owned());
    }
    let bytes = kv.key.len() + kv.value.len();
    if bytes > MAX_RECORD_BYTES {
        return Err(format!("its record has {bytes} bytes; an archive holds up to {MAX_RECORD_BYTES}"));
    }
    Ok(kv)
}

struct Gatherer {
    header: Option<Header>,
    sorter: Sorter,
    records: u64,
    facts: Facts,
    end: Option<EndLine>,
    /// Whether there was a line.
    begun: bool,
}

impl Gatherer {
    fn new() -> Self {
        let (sorter, facts) = (Sorter::new(), Facts::default());
        Self { header: None, sorter, records: 0, facts, end: None, begun: false }
    }

    /// Takes a line, and gives its record back; an error is a reason to refuse the line.
    fn take(&mut self, line: Line) -> Result<Option<KeyValue>, String> {
        if self.end.is_some() {
            return Err("it stands behind the end".to_owned());
        }
        let first = !std::mem::replace(&mut self.begun, true);
        match line {
            Line::Header(header) if first => self.header = Some(header.header()?),
            Line::Header(_) => return Err("the header must be the first line".to_owned()),
            Line::Record(record) => return self.record(record.record()?).map(Some),
            Line::Lease(lease) => self.facts.lease(lease.lease()?)?,
            Line::Auth(auth) => once(&mut self.facts.auth, auth.auth()?)?,
            Line::Members(members) => once(&mut self.facts.members, members.members()?)?,
            Line::Options(options) => once(&mut self.facts.options, options.options()?)?,
            Line::End(end) if end.records != self.records => {
                return Err(format!("{} records stand before it, not {}", self.records, end.records));
            }
            Line::End(end) => self.end = Some(end),
        }
        Ok(None)
    }

    fn record(&mut self, kv: KeyValue) -> Result<KeyValue, String> {
        let kv = admit(kv)?;
        self.records += 1;
        Ok(kv)
    }

    fn finish(self) -> Result<Gathered> {
        if self.header.is_some() && self.end.is_none() {
            let what = "the text has a header but no end: it was cut off, or its writer was interrupted";
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        let (ends, facts, end) = (self.sorter.ends().cloned(), self.facts, self.end);
        let range = self.header.as_ref().map(|header| header.range.clone());
        let header = self.header.unwrap_or_else(unknown_origin);
        Ok(Gathered { header, range, records: self.sorter.finish()?, ends, facts, end })
    }
}

impl Facts {
    fn lease(&mut self, lease: Lease) -> Result<(), String> {
        match self.leases.insert(lease.id, lease) {
            None => Ok(()),
            Some(_) => Err(format!("lease {} stands twice in the text", lease.id)),
        }
    }
}

fn once<T>(place: &mut Option<T>, found: T) -> Result<(), String> {
    match place.replace(found) {
        None => Ok(()),
        Some(_) => Err("there is such a line already".to_owned()),
    }
}
