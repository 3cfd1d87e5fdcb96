use std::collections::VecDeque;

use super::RestoreMode;
use super::batch::Change;
use super::script::{Script, Step, Steps};
use crate::backup::compare::{Run, Side};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyValue, Revision};

/// Which of the changes are made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Plain,
    /// After the others, so that a short lease does not run out while they are written.
    Leased,
    /// At last, so that the range is never emptier than before or after.
    Deletions,
}

/// Follows a script through what is restored and gives the changes of one pass.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    steps: Steps<'a>,
    records: RecordQueue<'a>,
    pass: Pass,
    mode: RestoreMode,
    /// How many records are still to be created by the step that was begun.
    creating: u64,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        script: &'a mut Script,
        source: Option<Side<'a>>,
        mode: RestoreMode,
        pass: Pass,
    ) -> Result<Self> {
        let records = RecordQueue { source, records: VecDeque::new() };
        Ok(Self { steps: script.steps()?, records, pass, mode, creating: 0 })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Change>> {
        loop {
            if self.creating > 0 {
                self.creating -= 1;
                if let Some(change) = self.put(Revision(0)).await? {
                    return Ok(Some(change));
                }
                continue;
            }
            let Some(step) = self.steps.next()? else { return Ok(None) };
            if let Some(change) = self.take(step).await? {
                return Ok(Some(change));
            }
        }
    }

    async fn take(&mut self, step: Step) -> Result<Option<Change>> {
        match step {
            Step::Delete(key, seen) if self.pass == Pass::Deletions => {
                Ok(Some(Change::delete(key, self.mode.guards_deletes().then_some(seen))))
            }
            _ if self.pass == Pass::Deletions => Ok(None),
            Step::Delete(..) => Ok(None),
            Step::Pass(count) => self.records.skip(count).await.map(|()| None),
            Step::Create(count) => {
                self.creating = count;
                Ok(None)
            }
            Step::Update(seen) => self.put(seen).await,
        }
    }

    /// The next record, if it is for this pass.
    async fn put(&mut self, seen: Revision) -> Result<Option<Change>> {
        let kv = self.records.next().await?;
        let now = kv.lease.is_some() == (self.pass == Pass::Leased);
        Ok(now.then(|| Change::put(kv, self.mode.guards_puts().then_some(seen))))
    }
}

/// The source's records one by one.
#[derive(Debug)]
struct RecordQueue<'a> {
    /// `None` if no record is needed.
    source: Option<Side<'a>>,
    records: VecDeque<KeyValue>,
}

impl<'a> RecordQueue<'a> {
    async fn next(&mut self) -> Result<KeyValue> {
        loop {
            if let Some(kv) = self.records.pop_front() {
                return Ok(kv);
            }
            let (source, run) = self.next_run().await?;
            self.records = source.opened(run).await?.into_records();
        }
    }

    async fn next_run(&mut self) -> Result<(&mut Side<'a>, Run)> {
        let source = self.source.as_mut().ok_or_else(changed)?;
        let run = source.next_run().await?.ok_or_else(changed)?;
        Ok((source, run))
    }

    /// Blocks that are left out as a whole are not read.
    async fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            if !self.records.is_empty() {
                let some = self.records.len().min(usize::try_from(count).unwrap_or(usize::MAX));
                self.records.drain(..some);
                count -= some as u64;
                continue;
            }
            let (source, run) = self.next_run().await?;
            match count.checked_sub(run.records) {
                Some(rest) => count = rest,
                None => self.records = source.opened(run).await?.into_records(),
            }
        }
        Ok(())
    }
}

fn changed() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the source holds fewer records than when the restore was planned; plan it again",
    )
}
