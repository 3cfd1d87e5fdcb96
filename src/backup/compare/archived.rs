use std::collections::VecDeque;

use super::run::{Hashes, Run, knows_last_key};
use crate::archive::BlockEntry;
use crate::backup::leasing::Leasing;
use crate::backup::records::{BegunBlock, Entries, MOST_AT_ONCE, Records, Restorable};
use crate::backup::selection::Segment;
use crate::error::Result;
use crate::types::KeyRange;

/// The selected records of an archive, under the names that they have in the target.
#[derive(Debug)]
pub(in crate::backup) struct Archived<'a> {
    records: &'a Records,
    segments: VecDeque<Segment>,
    /// Whether blocks that were not read may have records with leases.
    leased: bool,
    leasing: Leasing,
    current: Option<(Segment, Entries<'a>)>,
    /// Read while the one before it is looked at: who wants a block's records mostly wants the next one's too.
    ahead: Option<BegunBlock>,
    /// What was not yet given of the last block that came record by record.
    rest: Option<(Segment, Restorable<'a>)>,
}

impl<'a> Archived<'a> {
    pub(in crate::backup) fn new(records: &'a Records, segments: &[Segment], leased: bool) -> Self {
        let (segments, leasing) = (segments.iter().cloned().collect(), Leasing::default());
        Self { records, segments, leased, leasing, current: None, ahead: None, rest: None }
    }

    /// Their leases too as they are to be in the target.
    pub(in crate::backup) fn leasing(self, leasing: Leasing) -> Self {
        Self { leasing, ..self }
    }

    /// The next records, read only if that is needed to know which are selected.
    pub(in crate::backup) async fn next_run(&mut self) -> Result<Option<Run>> {
        loop {
            if let Some(portion) = self.portion() {
                return Ok(Some(portion));
            }
            let Some((segment, entry)) = self.next_entry().await? else { return Ok(None) };
            if segment.is_plain() && lies_within(&entry, &segment.source) && is_small(&entry) {
                return self.whole(entry).await.map(Some);
            }
            self.rest = Some((segment, self.open(&entry).await?));
        }
    }

    fn portion(&mut self) -> Option<Run> {
        let (segment, rest) = self.rest.as_mut()?;
        let kvs = rest.filter_map(|kv| segment.restored(kv)).map(|kv| self.leasing.restored(kv));
        let kvs: Vec<_> = kvs.take(MOST_AT_ONCE).collect();
        Some(kvs).filter(|kvs| !kvs.is_empty()).map(Run::open)
    }

    /// The run with its records, which are read if they were not yet.
    pub(in crate::backup) async fn opened(&mut self, run: Run) -> Result<Run> {
        match run.unread() {
            Some(entry) => self.released(entry).await,
            None => Ok(run),
        }
    }

    /// A block whose records are all selected, read only if their leases are to be others.
    async fn whole(&mut self, entry: BlockEntry) -> Result<Run> {
        if self.leased && self.leasing.changes_leases() {
            return self.released(&entry).await;
        }
        Ok(Run::sealed(entry, self.leased))
    }

    /// The block's records, with the leases that they are to have.
    async fn released(&mut self, entry: &BlockEntry) -> Result<Run> {
        let kvs = self.open(entry).await?.collect();
        Ok(Run::releasing(kvs, Hashes::from(entry), &self.leasing))
    }

    /// A block that is read now, or was ahead; the next one is begun.
    async fn open(&mut self, entry: &BlockEntry) -> Result<Restorable<'a>> {
        let ahead = self.ahead.take().filter(|ahead| ahead.entry() == entry);
        let begun = ahead.unwrap_or_else(|| self.records.begin(entry));
        let next = self.current.as_ref().and_then(|(_, entries)| entries.peek());
        self.ahead = next.map(|next| self.records.begin(next));
        self.records.restorable(begun).await
    }

    async fn next_entry(&mut self) -> Result<Option<(Segment, BlockEntry)>> {
        loop {
            if let Some((segment, entries)) = &mut self.current
                && let Some(entry) = entries.next().await?
            {
                return Ok(Some((segment.clone(), entry)));
            }
            let Some(segment) = self.segments.pop_front() else { return Ok(None) };
            let entries = self.records.entries(segment.source.clone());
            self.current = Some((segment, entries));
        }
    }
}

/// Whether its records may be taken apart all at once.
fn is_small(entry: &BlockEntry) -> bool {
    usize::try_from(entry.records).is_ok_and(|records| records <= MOST_AT_ONCE)
}

/// Whether all of the block's keys are certainly in the range.
fn lies_within(entry: &BlockEntry, range: &KeyRange) -> bool {
    knows_last_key(entry) && range.contains(&entry.first_key) && range.contains(&entry.last_key)
}
