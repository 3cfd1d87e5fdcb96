mod batch;
mod leases;
mod selection;
mod write;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use self::batch::Batcher;
use self::leases::LeaseGranter;
use self::selection::Selection;
use self::write::{BatchWriter, Written};
use super::open::ArchiveFile;
use super::progress::{Observer, Phase, Progress, Tracker};
use super::salvage::SalvagedFile;
use crate::archive::Lease;
use crate::client::{Client, Get};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyRange, KeyValue, Revision};
use crate::util::Escaped;

const IN_FLIGHT: usize = 8;

/// What a restore does with keys that the cluster holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestoreMode {
    /// Write nothing if there is any key in the range that is to be restored.
    #[default]
    Refuse,
    /// Leave existing keys alone and write the others.
    Missing,
    /// Overwrite them. Keys that the archive does not hold stay.
    Replace,
}

/// A restore to be made: the keys of an archive, or some of them, into a live cluster.
///
/// Revisions go forward: restored keys get new ones. Leases are granted again with their old ids
/// and their full time; one that the cluster still has is used as it is.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::KeyRange;
/// use etcd_ark::backup::{ArchiveFile, Restore, RestoreMode};
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// let restore = Restore::new(RestoreMode::Missing).range(KeyRange::prefix("/app/"));
/// let report = restore.apply(&client, &mut archive).await?;
/// println!("{} written, {} left as they were", report.written, report.kept);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Restore {
    mode: RestoreMode,
    range: KeyRange,
    observer: Observer,
}

/// What a restore did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// How many keys were written.
    pub written: u64,
    /// How many were there and left as they were.
    pub kept: u64,
    /// Bytes of keys and values written.
    pub bytes: u64,
    /// How many leases were granted, or found in place.
    pub leases: u64,
    /// How many keys were selected whose leases a damaged archive has lost: they get none, and stay.
    pub unleased: u64,
    /// The cluster's revision after the last write; 0 if nothing was written.
    pub revision: Revision,
    /// How long it took, verification included.
    pub elapsed: Duration,
}

impl Restore {
    /// Restores every key of an archive, in this mode.
    #[must_use]
    pub fn new(mode: RestoreMode) -> Self {
        Self { mode, range: KeyRange::all(), observer: Observer::default() }
    }

    /// Restores only the keys of this range. Default: every key.
    #[must_use]
    pub fn range(self, range: impl Into<KeyRange>) -> Self {
        Self { range: range.into(), ..self }
    }

    /// Calls this while the archive is verified, when writing begins, and after every batch that was
    /// written. Default: nobody is told.
    #[must_use]
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Verifies the whole archive, then writes.
    ///
    /// # Errors
    ///
    /// Before anything is written: [`ErrorKind::Corrupt`] if the archive is not good,
    /// [`ErrorKind::Conflict`] if the mode is [`RestoreMode::Refuse`] and there are keys. Afterwards, as
    /// [`Client::send`], naming the keys at which it stopped and how many were written; the same
    /// restore with [`RestoreMode::Missing`] goes on from there.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it stops after some of the keys. Those under way may or may not be written; none is
    /// written in part.
    pub async fn apply(&self, client: &Client, archive: &mut ArchiveFile) -> Result<RestoreReport> {
        let began = Instant::now();
        let verified = archive.verify_observed(&self.observer).await?;
        verified.check()?;
        // Never beyond what was saved: other keys of the cluster are none of the archive's business.
        let range = self.range.intersection(&archive.header().range);
        let selection = Selection::new(archive.all_records(), range);
        let report = self.write(client, selection, verified.leases).await?;
        Ok(RestoreReport { elapsed: began.elapsed(), ..report })
    }

    /// Writes what is left of a damaged archive. What is missing, [`SalvagedFile::report`] tells. Keys whose leases are
    /// lost get none: a lease of unknown length would take them away again.
    ///
    /// # Errors
    ///
    /// As [`Restore::apply`], but for damage.
    ///
    /// # Cancel safety
    ///
    /// As [`Restore::apply`].
    pub async fn apply_salvaged(&self, client: &Client, archive: &mut SalvagedFile) -> Result<RestoreReport> {
        let began = Instant::now();
        let saved = archive.report().header.as_ref().map(|header| &header.range);
        let range = saved.map_or_else(|| self.range.clone(), |saved| self.range.intersection(saved));
        let leases = archive.report().leases.clone();
        let selection = Selection::new(archive.all_records(), range).with_leases(&leases);
        let report = self.write(client, selection, leases).await?;
        Ok(RestoreReport { elapsed: began.elapsed(), ..report })
    }

    async fn write(
        &self,
        client: &Client,
        selection: Selection<'_>,
        leases: Vec<Lease>,
    ) -> Result<RestoreReport> {
        if self.mode == RestoreMode::Refuse {
            refuse_if_any(client, selection.range()).await?;
        }
        let selected = selection.count().await?;
        let leases = LeaseGranter::new(client.clone(), leases);
        let writer = BatchWriter::new(client.clone(), self.mode, leases);
        let progress = self.observer.begin(Phase::Writing, Some(selected.all));
        let mut run = Run {
            writer: &writer,
            progress,
            written: Written::default(),
            total: selected.all,
            ambiguous: false,
        };
        run.write(&selection, |kv| kv.lease.is_none()).await?;
        if selected.leased > 0 {
            // Last, so that a short lease does not run out while the rest is written.
            run.write(&selection, |kv| kv.lease.is_some()).await?;
        }
        Ok(RestoreReport {
            written: run.written.keys,
            kept: run.written.kept,
            bytes: run.written.bytes,
            leases: writer.leases().count().await as u64,
            unleased: selected.unleased,
            revision: run.written.revision,
            elapsed: Duration::ZERO,
        })
    }
}

async fn refuse_if_any(client: &Client, range: &KeyRange) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let found = client.send(Get::new(range.clone()).limit(1).keys_only()).await?;
    let Some(first) = found.kvs.first() else { return Ok(()) };
    let message = format!(
        "the cluster holds {} keys where the restore is to write ({range}), the first {}; \
         nothing was written; choose whether to leave existing keys alone or to replace them",
        found.count,
        Escaped(&first.key)
    );
    Err(Error::new(ErrorKind::Conflict, message))
}

/// The writing of one restore: batches in flight, and what they came to.
struct Run<'a> {
    writer: &'a BatchWriter,
    progress: Tracker,
    written: Written,
    total: u64,
    /// Whether a batch that failed may be written all the same.
    ambiguous: bool,
}

type InFlight<'a> = FuturesUnordered<BoxFuture<'a, Result<Written>>>;

impl<'a> Run<'a> {
    async fn write(&mut self, selection: &Selection<'_>, wanted: impl Fn(&KeyValue) -> bool) -> Result<()> {
        let mut in_flight = InFlight::new();
        let fed = self.feed(&mut in_flight, selection, wanted).await;
        // What is under way is awaited even after a failure, so that the count is true.
        let drained = self.drain(&mut in_flight).await;
        fed.and(drained).map_err(|error| self.stopped(error))
    }

    async fn feed(
        &mut self,
        in_flight: &mut InFlight<'a>,
        selection: &Selection<'_>,
        wanted: impl Fn(&KeyValue) -> bool,
    ) -> Result<()> {
        let mut batcher = Batcher::default();
        let mut blocks = selection.blocks();
        while let Some(kvs) = blocks.next().await? {
            for batch in kvs.into_iter().filter(&wanted).filter_map(|kv| batcher.push(kv)) {
                self.start(in_flight, batch).await?;
            }
        }
        match batcher.take() {
            Some(last) => self.start(in_flight, last).await,
            None => Ok(()),
        }
    }

    /// Sends a batch off, once there is room for it.
    async fn start(&mut self, in_flight: &mut InFlight<'a>, batch: Vec<KeyValue>) -> Result<()> {
        in_flight.push(self.writer.write(batch).boxed());
        while in_flight.len() >= IN_FLIGHT
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

    fn settle(&mut self, outcome: Result<Written>) -> Result<()> {
        let written = outcome.inspect_err(|error| self.ambiguous |= error.may_have_applied())?;
        self.written.add(written);
        self.progress.add(written.keys + written.kept, written.bytes);
        Ok(())
    }

    fn stopped(&self, error: Error) -> Error {
        let (written, total) = (self.written.keys, self.total);
        let stopped = format!("stopped after {written} of {total} keys were written");
        error.context(stopped).maybe_applied(self.ambiguous)
    }
}
