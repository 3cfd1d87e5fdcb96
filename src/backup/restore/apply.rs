use std::collections::BTreeMap;
use std::mem;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::check::{RestoreCheck, check};
use super::feed::{Feed, Pass};
use super::leases::LeaseGranter;
use super::origin::Origin;
use super::pace::Pace;
use super::plan::{Planned, check_conflicts, check_denied};
use super::send::Sender;
use super::summary::{PlanSummary, Tallies};
use super::undo::UndoFiles;
use super::write::{BatchWriter, Written};
use crate::backup::compare::Side;
use crate::backup::leasing::Leasing;
use crate::backup::progress::{Observer, Phase};
use crate::backup::selection::{Segment, hull};
use crate::client::{Client, Get};
use crate::error::{ErrorKind, Result};
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
    pub(super) undo: UndoFiles,
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
    /// How many of those hold something else than the archive does.
    pub differing: u64,
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
            Origin::Archive { .. } => None,
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
    /// [`ErrorKind::Conflict`] if the mode is [`RestoreMode::Refuse`](super::RestoreMode)
    /// and there are conflicts; [`ErrorKind::PermissionDenied`] if the user may not
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
        let undo = mem::take(&mut self.undo);
        if !self.summary().is_nothing() {
            undo.commit().await?;
        }
        let (written, leases) = Box::pin(self.write()).await?;
        let check = if self.checked { Some(Box::pin(self.check()).await?) } else { None };
        let summary = self.summary();
        Ok(RestoreReport {
            written: written.puts,
            kept: summary.total.unchanged.keys + summary.total.keep.keys,
            differing: summary.total.keep.keys,
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
        check(&self.client, &self.origin, &self.segments, self.leasing, &mut progress).await
    }

    async fn write(&mut self) -> Result<(Written, u64)> {
        let total = self.summary().writes() + self.summary().total.delete.keys;
        let progress = self.observer.begin(Phase::Writing, Some(total));
        let leases = LeaseGranter::new(self.client.clone(), mem::take(&mut self.grants));
        let writer = BatchWriter::new(self.client.clone(), leases);
        let pace = Pace::new(self.rate, Instant::now());
        let mut sender = Sender::new(&writer, pace, progress, total);
        let vacant = self.target_is_vacant().await.map_err(|error| sender.stopped(error))?;
        for pass in self.passes() {
            // Leased keys lie between those that have just been written.
            writer.set_vacant(vacant && pass == Pass::Plain);
            let source = self.read_by(pass).await?;
            let feed = Feed::new(&mut self.planned.script, source, self.planned.summary.mode, pass)?;
            sender.send(feed).await?;
        }
        Ok((sender.into_written(), writer.leases().count().await as u64))
    }

    /// Whether the target holds nothing from the first selected key to the last, not even what is not selected.
    async fn target_is_vacant(&self) -> Result<bool> {
        let total = self.summary().total;
        let targets: Vec<_> = self.segments.iter().map(|segment| segment.target.clone()).collect();
        match hull(&targets) {
            Some(hull) if total == (Tallies { create: total.create, ..Tallies::default() }) => {
                match self.client.send(Get::new(hull).keys_only().limit(1)).await {
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
                    found => Ok(found?.kvs.is_empty()),
                }
            }
            _ => Ok(false),
        }
    }

    /// What a pass reads; deletions need nothing.
    async fn read_by(&self, pass: Pass) -> Result<Option<Side<'a>>> {
        if pass == Pass::Deletions {
            return Ok(None);
        }
        self.origin.open(&self.segments, self.leasing).await.map(Some)
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
