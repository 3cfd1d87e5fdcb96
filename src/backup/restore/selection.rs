use std::collections::HashSet;

use crate::archive::Lease;
use crate::backup::records::{RecordReader, Records};
use crate::error::Result;
use crate::types::{KeyRange, KeyValue, LeaseId};

/// The records of an archive that are to be written.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    records: &'a Records,
    range: KeyRange,
    /// The leases of a damaged archive that are not lost.
    leases: Option<HashSet<LeaseId>>,
}

/// How much there is to write.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Selected {
    pub(super) all: u64,
    pub(super) leased: u64,
    /// Keys whose leases are lost.
    pub(super) unleased: u64,
}

impl<'a> Selection<'a> {
    pub(super) fn new(records: &'a Records, range: KeyRange) -> Self {
        Self { records, range, leases: None }
    }

    /// Takes keys off leases that are not among these.
    pub(super) fn with_leases(self, leases: &[Lease]) -> Self {
        Self { leases: Some(leases.iter().map(|lease| lease.id).collect()), ..self }
    }

    pub(super) fn range(&self) -> &KeyRange {
        &self.range
    }

    pub(super) fn blocks(&self) -> SelectedBlocks<'_> {
        SelectedBlocks { selection: self, reader: self.records.of(self.range.clone()), unleased: 0 }
    }

    pub(super) async fn count(&self) -> Result<Selected> {
        let mut selected = Selected::default();
        let mut blocks = self.blocks();
        while let Some(kvs) = blocks.next().await? {
            selected.all += kvs.len() as u64;
            selected.leased += kvs.iter().filter(|kv| kv.lease.is_some()).count() as u64;
        }
        selected.unleased = blocks.unleased;
        Ok(selected)
    }

    fn has_lost_lease(&self, kv: &KeyValue) -> bool {
        let is_lost = |id| self.leases.as_ref().is_some_and(|left| !left.contains(&id));
        kv.lease.is_some_and(is_lost)
    }
}

/// One walk through the selection.
#[derive(Debug)]
pub(super) struct SelectedBlocks<'a> {
    selection: &'a Selection<'a>,
    reader: RecordReader<'a>,
    unleased: u64,
}

impl SelectedBlocks<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Vec<KeyValue>>> {
        let Some(mut kvs) = self.reader.next_block().await? else { return Ok(None) };
        for kv in kvs.iter_mut().filter(|kv| self.selection.has_lost_lease(kv)) {
            kv.lease = None;
            self.unleased += 1;
        }
        Ok(Some(kvs))
    }
}
