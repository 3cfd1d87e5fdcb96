//! Restoring: a plan that only reads, and its application.

mod apply;
mod batch;
mod check;
mod feed;
mod leases;
mod mode;
mod pace;
mod plan;
mod revert;
mod script;
mod summary;
mod undo;
mod write;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use self::apply::{RestorePlan, RestoreReport};
pub use self::check::RestoreCheck;
pub use self::mode::RestoreMode;
use self::pace::IN_FLIGHT;
use self::plan::Planner;
pub use self::revert::Undo;
pub use self::summary::{PlanSummary, Tallies, Tally};
use self::undo::{UndoWriter, begin_file, is_undo};
use super::compare::{Archived, Comparison, Live};
use super::open::ArchiveFile;
use super::progress::{Observer, Phase, Progress};
use super::records::Records;
use super::salvage::SalvagedFile;
use super::selection::{Segment, Selection};
use crate::archive::{Header, Lease};
use crate::client::{Client, Get, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::store::PendingFile;
use crate::types::{self, KeyRange, KeyValue, Revision};
use crate::util::Escaped;

/// A restore to be made: the keys of an archive, or some of them, into a live cluster.
///
/// [`Restore::plan`] reads only and says what would be done; [`RestorePlan::apply`] does it. Revisions go
/// forward: restored keys get new ones. Leases are granted again with their old ids and their full time; one that the
/// cluster still has is used as it is.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::KeyRange;
/// use etcd_ark::backup::{ArchiveFile, Restore, RestoreMode};
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// let restore = Restore::new(RestoreMode::Missing).select(KeyRange::prefix("/app/"));
/// let plan = restore.plan(&client, &mut archive).await?;
/// println!("{} keys to be written", plan.summary().writes());
/// let report = plan.apply().await?;
/// println!("{} written, {} left as they were", report.written, report.kept);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Restore {
    mode: RestoreMode,
    selection: Selection,
    any_cluster: bool,
    since: Option<Revision>,
    undo: Option<PathBuf>,
    checked: bool,
    rate: Option<NonZeroU32>,
    observer: Observer,
}

impl Restore {
    /// Restores every key of an archive, in this mode.
    #[must_use]
    pub fn new(mode: RestoreMode) -> Self {
        Self {
            mode,
            selection: Selection::new(),
            any_cluster: false,
            since: None,
            undo: None,
            checked: true,
            rate: None,
            observer: Observer::default(),
        }
    }

    /// Restores only these keys, perhaps to other names. Default: every key, under its own.
    #[must_use]
    pub fn select(self, selection: impl Into<Selection>) -> Self {
        Self { selection: selection.into(), ..self }
    }

    /// Lets the target be another cluster than the one that was backed up. Default: that is refused, since it may
    /// be a mistake.
    #[must_use]
    pub fn any_cluster(self) -> Self {
        Self { any_cluster: true, ..self }
    }

    /// Leaves keys alone that somebody has written after this revision, unless they are the same as in the archive.
    /// With the revision at which an interrupted restore was planned, it goes on as if it had not been interrupted.
    /// Default: what counts is when the plan is made.
    #[must_use]
    pub fn unchanged_since(self, revision: Revision) -> Self {
        Self { since: Some(revision), ..self }
    }

    /// Before anything is written, saves what the cluster holds of the keys that are going to be changed to this
    /// file, for [`Undo`]. Default: nothing is saved.
    #[must_use]
    pub fn save_undo(self, path: impl Into<PathBuf>) -> Self {
        Self { undo: Some(path.into()), ..self }
    }

    /// Does not compare once more at the end, which takes as long as reading the keys. Default: it does.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }

    /// Writes at most so many keys in a second. Default: as many as the cluster takes; the number of batches under way
    /// goes down while they take long.
    #[must_use]
    pub fn keys_per_second(self, rate: NonZeroU32) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Calls this while the archive is verified, while it is compared with the cluster, when writing begins, and
    /// after every batch that was written. Default: nobody is told.
    #[must_use]
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Verifies the whole archive and compares it with the cluster at one revision. Changes nothing in the cluster.
    ///
    /// Both come in blocks that are cut by content, so only blocks that differ are looked into. Memory is bounded;
    /// a long plan is kept in a temporary file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the archive is not good; [`ErrorKind::Config`] if it is of another cluster, if it
    /// can hold none of the keys, or if two keys would get one name; [`ErrorKind::AlreadyExists`] if the file for undo
    /// exists; otherwise as [`Client::scan`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time, and so may the plan; then there is no file for undo.
    pub async fn plan<'a>(&self, client: &Client, archive: &'a mut ArchiveFile) -> Result<RestorePlan<'a>> {
        let began = Instant::now();
        let verified = archive.verify_observed(&self.observer).await?;
        verified.check()?;
        refuse_undo(archive.header())?;
        let segments = self.segments(archive.all_records(), &archive.header().range).await?;
        let planning = Planning { archive: archive.all_records(), segments, leases: verified.leases, began };
        // Boxed, here and further down: futures that hold all that lies below them outgrow a thread's stack.
        Box::pin(self.plan_of(client, Some(archive.header()), planning)).await
    }

    /// As [`Restore::plan`], of what is left of a damaged archive. What is missing, [`SalvagedFile::report`] tells. Keys
    /// whose leases are lost get none.
    ///
    /// # Errors
    ///
    /// As [`Restore::plan`], but for damage; [`ErrorKind::Config`] also in modes that delete, since they would delete
    /// what the archive has lost, and for an archive that has lost its header unless [`Restore::any_cluster`] is given.
    ///
    /// # Cancel safety
    ///
    /// As [`Restore::plan`].
    pub async fn plan_salvaged<'a>(
        &self,
        client: &Client,
        archive: &'a SalvagedFile,
    ) -> Result<RestorePlan<'a>> {
        let began = Instant::now();
        if self.mode.deletes() {
            let what =
                "this mode would delete the keys that the damaged archive has lost; choose another mode";
            return Err(Error::new(ErrorKind::Config, what));
        }
        let report = archive.report();
        report.header.as_ref().map_or(Ok(()), refuse_undo)?;
        let range = report.header.as_ref().map_or_else(KeyRange::all, |header| header.range.clone());
        let segments = self.segments(archive.all_records(), &range).await?;
        let leases = report.leases.clone();
        let planning = Planning { archive: archive.all_records(), segments, leases, began };
        Box::pin(self.plan_of(client, report.header.as_ref(), planning)).await
    }

    async fn plan_of<'a>(
        &self,
        client: &Client,
        header: Option<&Header>,
        planning: Planning<'a>,
    ) -> Result<RestorePlan<'a>> {
        let Planning { archive, segments, leases, began } = planning;
        let mut undo = begin_file(self.undo.as_ref()).await?;
        let target = Live::open(client, &segments, None).await?;
        let pinned = target.pinned().ok_or_else(|| malformed("a scan ended without a page"))?;
        self.check_cluster(header, pinned)?;
        let source = Archived::new(archive, &segments, !leases.is_empty());
        let comparison = Comparison::new(source, target, true);
        let planner = Box::pin(self.compare(client, comparison, pinned, undo.as_mut())).await?;
        let planned = planner.finish(pinned, round_trip(client, &segments).await?, IN_FLIGHT)?;
        Ok(RestorePlan {
            client: client.clone(),
            records: archive,
            segments,
            leases,
            planned,
            undo,
            checked: self.checked,
            rate: self.rate,
            observer: self.observer.clone(),
            elapsed: began.elapsed(),
        })
    }

    async fn compare(
        &self,
        client: &Client,
        mut comparison: Comparison<'_>,
        pinned: types::Header,
        undo: Option<&mut PendingFile>,
    ) -> Result<Planner> {
        let mut undo = match undo {
            Some(file) => Some(UndoWriter::begin(client, pinned, file).await?),
            None => None,
        };
        let mut planner = Planner::new(self.mode, self.since);
        let mut progress = self.observer.begin(Phase::Comparing, None);
        while let Some(compared) = comparison.next().await? {
            progress.add(compared.keys(), compared.bytes());
            let changed = planner.take(compared, &comparison)?;
            if let (Some(undo), Some(key)) = (&mut undo, changed) {
                undo.save(key).await?;
            }
        }
        if let Some(undo) = undo {
            undo.finish(client).await?;
        }
        Ok(planner)
    }

    /// What is to be restored, and where to; never beyond what was saved: other keys are none of the archive's business.
    async fn segments(&self, archive: &Records, saved: &KeyRange) -> Result<Vec<Segment>> {
        let range = std::slice::from_ref(saved);
        for way in self.selection.in_the_way(range) {
            if let Some(kvs) = archive.of(way).next_block().await? {
                return Err(in_the_way(&kvs));
            }
        }
        let segments = self.selection.segments(range)?;
        if segments.is_empty() {
            let what = format!("none of the selected keys can be in the archive, which holds {saved}");
            return Err(Error::new(ErrorKind::Config, what));
        }
        Ok(segments)
    }

    fn check_cluster(&self, archive: Option<&Header>, target: types::Header) -> Result<()> {
        let (source, target) = (archive.map(|header| header.cluster_id), target.cluster_id);
        if source == Some(target) || self.any_cluster {
            return Ok(());
        }
        let source = source.map_or_else(|| "a cluster that is lost".to_owned(), |id| format!("cluster {id}"));
        let what = format!(
            "the archive is of {source}, but the endpoints are of cluster {target}; nothing was written; \
             allow another cluster if that is meant (ark: --any-cluster)"
        );
        Err(Error::new(ErrorKind::Config, what))
    }
}

/// What a plan is made of.
struct Planning<'a> {
    archive: &'a Records,
    segments: Vec<Segment>,
    leases: Vec<Lease>,
    began: Instant,
}

fn refuse_undo(header: &Header) -> Result<()> {
    if is_undo(header) {
        let what =
            "this archive holds what a restore has changed, and is no backup; undo the restore with it";
        return Err(Error::new(ErrorKind::Config, what));
    }
    Ok(())
}

/// How long a read of one key takes.
async fn round_trip(client: &Client, segments: &[Segment]) -> Result<Duration> {
    let Some(first) = segments.first() else { return Ok(Duration::ZERO) };
    let began = Instant::now();
    client.send(Get::new(first.target.start().clone())).await?;
    Ok(began.elapsed())
}

fn in_the_way(kvs: &[KeyValue]) -> Error {
    let first = kvs.first().map(|kv| Escaped(&kv.key).to_string()).unwrap_or_default();
    let what = format!(
        "keys are to go where others of the archive stay, as {first}; leave those out, or give them another place too"
    );
    Error::new(ErrorKind::Config, what)
}
