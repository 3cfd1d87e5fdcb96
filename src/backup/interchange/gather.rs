//! Text taken apart, checked and sorted. Blocking.

use std::collections::BTreeMap;
use std::io::BufRead;

use bytes::Bytes;

use super::TextFormat;
use super::json_lines::{EndLine, Line};
use super::lines::Lines;
use super::shield;
use super::sorter::{Sorted, Sorter};
use crate::archive::{Header, Lease, MAX_RECORD_BYTES};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyValue, LeaseId, Revision};

/// What a text holds.
pub(super) struct Gathered {
    pub(super) header: Option<Header>,
    pub(super) records: Sorted,
    /// The smallest and the largest key.
    pub(super) ends: Option<(Bytes, Bytes)>,
    pub(super) leases: Vec<Lease>,
    pub(super) end: Option<EndLine>,
}

pub(super) fn gather(reader: impl BufRead, format: TextFormat) -> Result<Gathered> {
    let mut gatherer = Gatherer::new();
    let mut lines = Lines::new(reader);
    loop {
        let line = match lines.next()? {
            Some(line) => parse(line, format),
            None => return gatherer.finish(),
        };
        match line.and_then(|line| gatherer.take(line)) {
            Ok(Some(record)) => gatherer.sorter.push(record)?,
            Ok(None) => {}
            Err(why) => return Err(lines.refuse(why)),
        }
    }
}

fn parse(line: &[u8], format: TextFormat) -> Result<Line, String> {
    match format {
        TextFormat::JsonLines => Line::parse(line),
        TextFormat::Shield => {
            shield::parse(line).map(|(key, value)| Line::Record((&bare(key, value)).into()))
        }
        TextFormat::Etcdctl => Err("etcdctl's JSON is written only; import json lines instead".to_owned()),
    }
}

/// A record of which key and value are known: as of a key that was just created.
fn bare(key: Bytes, value: Bytes) -> KeyValue {
    let first = Revision(1);
    KeyValue { key, value, create_revision: first, mod_revision: first, version: 1, lease: None }
}

struct Gatherer {
    header: Option<Header>,
    sorter: Sorter,
    records: u64,
    leases: BTreeMap<LeaseId, Lease>,
    end: Option<EndLine>,
    /// Whether there was a line.
    begun: bool,
}

impl Gatherer {
    fn new() -> Self {
        let (header, sorter, leases) = (None, Sorter::new(), BTreeMap::new());
        Self { header, sorter, records: 0, leases, end: None, begun: false }
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
            Line::Record(record) => return record.record().and_then(|kv| self.admit(kv)).map(Some),
            Line::Lease(lease) => self.lease(lease.lease()?)?,
            Line::End(end) if end.records != self.records => {
                return Err(format!("{} records stand before it, not {}", self.records, end.records));
            }
            Line::End(end) => self.end = Some(end),
        }
        Ok(None)
    }

    fn admit(&mut self, kv: KeyValue) -> Result<KeyValue, String> {
        if kv.key.is_empty() {
            return Err("its key is empty, which no key in etcd is".to_owned());
        }
        let bytes = kv.key.len() + kv.value.len();
        if bytes > MAX_RECORD_BYTES {
            return Err(format!("its record has {bytes} bytes; an archive holds up to {MAX_RECORD_BYTES}"));
        }
        self.records += 1;
        Ok(kv)
    }

    fn lease(&mut self, lease: Lease) -> Result<(), String> {
        match self.leases.insert(lease.id, lease) {
            None => Ok(()),
            Some(_) => Err(format!("lease {} stands twice in the text", lease.id)),
        }
    }

    fn finish(self) -> Result<Gathered> {
        if self.header.is_some() && self.end.is_none() {
            let what = "the text has a header but no end: it was cut off, or its writer was interrupted";
            return Err(Error::new(ErrorKind::Corrupt, what));
        }
        let (header, leases) = (self.header, self.leases.into_values().collect());
        let ends = self.sorter.ends().cloned();
        Ok(Gathered { header, records: self.sorter.finish()?, ends, leases, end: self.end })
    }
}
