use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use super::batch::{Batcher, Change};
use super::check::{RestoreCheck, check};
use super::feed::{Feed, Pass};
use super::leases::LeaseGranter;
use super::origin::Origin;
use super::pace::Pace;
use super::plan::{Planned, check_conflicts, check_denied};
use super::summary::PlanSummary;
use super::write::{BatchWriter, Written};
use crate::backup::compare::Side;
use crate::backup::leasing::Leasing;
use crate::backup::progress::{Observer, Phase, Tracker};
use crate::backup::selection::Segment;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::store::PendingFile;
use crate::types::{Header, LeaseId, Revision};

/// What a restore is going to do. Made by [`Restore::plan`](super::Restore::plan); reads only until it is applied.
#[derive(Debug)]
pub struct RestorePlan<'a> {
    pub(super) client: Client,
    pub(super) origin: Origin<'a>,
    pub(super) segments: Vec<Segment>,
    pub(super) leasing: Leasing,
    /// The leases to grant, and for how long.
    pub(super) grants: BTreeMap<LeaseId, Duration>,
    pub(super) planned: Planned,
    pub(super) undo: Option<PendingFile>,
    pub(super) checked: bool,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) observer: Observer,
    pub(super) elapsed: Duration,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// How many keys were written.
    pub written: u64,
    /// How many keys of the archive were there and left as they were, as planned.
    pub kept: u64,
    /// How many keys were deleted.
    pub deleted: u64,
    /// How many keys somebody had written since the plan was made: they were left alone.
    pub left: u64,
    /// The first hundred of those.
    pub left_keys: Vec<Bytes>,
    /// Bytes of keys and values written.
    pub bytes: u64,
    /// How many leases were granted, or found in place.
    pub leases: u64,
    /// The cluster's revision when the plan was made.
    pub before: Revision,
    /// The cluster's revision after the last write; 0 if nothing was written.
    pub revision: Revision,
    /// What the cluster holds afterwards; `None` if that was not looked at.
    pub check: Option<RestoreCheck>,
    /// How long it took, planning included, but not the time in between.
    pub elapsed: Duration,
}

impl<'a> RestorePlan<'a> {
    /// What it is going to do.
    #[must_use]
    pub fn summary(&self) -> &PlanSummary {
        &self.planned.summary
    }

    /// Of which cluster at which revision it is a copy; `None` if it restores an archive.
    #[must_use]
    pub fn source(&self) -> Option<Header> {
        match &self.origin {
            Origin::Archive(_) => None,
            Origin::Cluster(_, source) => Some(*source),
        }
    }

    /// Does it.
    ///
    /// Interrupted at any time, it can be planned and applied again: what is done already is then the same as in
    /// the archive, and left as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the mode is [`RestoreMode::Refuse`](super::RestoreMode)
    /// and there are conflicts; [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) if the user may not
    /// write some of the keys, as far as the user's roles say; nothing is written then. Afterwards, as [`Client::send`], naming the keys at which it
    /// stopped and how many were written.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it stops after some of the keys. Those under way may or may not be written; none is written in
    /// part.
    pub async fn apply(mut self) -> Result<RestoreReport> {
        let began = Instant::now();
        check_conflicts(self.summary())?;
        check_denied(self.summary())?;
        if let Some(undo) = self.undo.take().filter(|_| !self.summary().is_nothing()) {
            undo.commit().await?;
        }
        let (written, leases) = Box::pin(self.write()).await?;
        let check = if self.checked { Some(Box::pin(self.check()).await?) } else { None };
        let summary = self.summary();
        Ok(RestoreReport {
            written: written.puts,
            kept: summary.total.unchanged.keys + summary.total.keep.keys,
            deleted: written.deleted,
            left: written.left,
            left_keys: written.left_keys,
            bytes: written.bytes,
            leases,
            before: summary.target.revision,
            revision: written.revision,
            check,
            elapsed: self.elapsed + began.elapsed(),
        })
    }

    async fn check(&mut self) -> Result<RestoreCheck> {
        let mut progress = self.observer.begin(Phase::Comparing, None);
        let source = self.origin.open(&self.segments, self.leasing, true).await?;
        check(&self.client, source, &self.segments, &mut progress).await
    }

    async fn write(&mut self) -> Result<(Written, u64)> {
        let total = self.summary().writes() + self.summary().total.delete.keys;
        let progress = self.observer.begin(Phase::Writing, Some(total));
        let leases = LeaseGranter::new(self.client.clone(), std::mem::take(&mut self.grants));
        let writer = BatchWriter::new(self.client.clone(), leases);
        let pace = Pace::new(self.rate, Instant::now());
        let mut run =
            Run { writer: &writer, pace, progress, written: Written::default(), total, ambiguous: false };
        for pass in self.passes() {
            let source = self.read_by(pass).await?;
            let feed = Feed::new(&mut self.planned.script, source, self.planned.summary.mode, pass)?;
            run.write(feed).await?;
        }
        Ok((run.written, writer.leases().count().await as u64))
    }

    /// What a pass reads; deletions need nothing.
    async fn read_by(&self, pass: Pass) -> Result<Option<Side<'a>>> {
        if pass == Pass::Deletions {
            return Ok(None);
        }
        self.origin.open(&self.segments, self.leasing, true).await.map(Some)
    }

    fn passes(&self) -> Vec<Pass> {
        let summary = self.summary();
        let needed = |pass: &Pass| match pass {
            Pass::Plain => summary.writes() > 0,
            Pass::Leased => summary.leases > 0,
            Pass::Deletions => summary.total.delete.keys > 0,
        };
        [Pass::Plain, Pass::Leased, Pass::Deletions].into_iter().filter(needed).collect()
    }
}

/// The writing of one restore: batches in flight, and what they came to.
struct Run<'a> {
    writer: &'a BatchWriter,
    pace: Pace,
    progress: Tracker,
    written: Written,
    total: u64,
    /// Whether a batch that failed may be written all the same.
    ambiguous: bool,
}

/// Batches under way: what becomes of them, and how long that takes.
type InFlight<'a> = FuturesUnordered<BoxFuture<'a, (Result<Written>, Duration)>>;

impl<'a> Run<'a> {
    async fn write(&mut self, feed: Feed<'_>) -> Result<()> {
        let mut in_flight = InFlight::new();
        let fed = self.feed(&mut in_flight, feed).await;
        // What is under way is awaited even after a failure, so that the count is true.
        let drained = self.drain(&mut in_flight).await;
        fed.and(drained).map_err(|error| self.stopped(error))
    }

    async fn feed(&mut self, in_flight: &mut InFlight<'a>, mut feed: Feed<'_>) -> Result<()> {
        let mut batcher = Batcher::default();
        while let Some(change) = feed.next().await? {
            if let Some(batch) = batcher.push(change, self.writer.limits()) {
                self.start(in_flight, batch).await?;
            }
        }
        match batcher.take() {
            Some(last) => self.start(in_flight, last).await,
            None => Ok(()),
        }
    }

    /// Sends a batch off, once there is room for it.
    async fn start(&mut self, in_flight: &mut InFlight<'a>, batch: Vec<Change>) -> Result<()> {
        tokio::time::sleep(self.pace.wait(batch.len(), Instant::now())).await;
        in_flight.push(timed(self.writer.write(batch)).boxed());
        while in_flight.len() >= self.pace.window()
            && let Some(outcome) = in_flight.next().await
        {
            self.settle(outcome)?;
        }
        Ok(())
    }

    /// Awaits everything; the first failure counts.
    async fn drain(&mut self, in_flight: &mut InFlight<'a>) -> Result<()> {
        let mut outcome = Ok(());
        while let Some(written) = in_flight.next().await {
            outcome = outcome.and(self.settle(written));
        }
        outcome
    }

    fn settle(&mut self, (outcome, elapsed): (Result<Written>, Duration)) -> Result<()> {
        self.pace.took(elapsed);
        let written = outcome.inspect_err(|error| self.ambiguous |= error.may_have_applied())?;
        self.progress.add(written.puts + written.deleted + written.left, written.bytes);
        self.written.add(written);
        Ok(())
    }

    fn stopped(&self, error: Error) -> Error {
        let (done, total) = (self.written.puts + self.written.deleted, self.total);
        let stopped = format!("stopped after {done} of {total} keys were written");
        error.context(stopped).maybe_applied(self.ambiguous)
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}
