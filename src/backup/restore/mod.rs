//! Restoring: a plan that only reads, and its application.

mod apply;
mod batch;
mod check;
mod feed;
mod leases;
mod lookup;
mod mode;
mod origin;
mod pace;
mod plan;
mod planning;
mod revert;
mod saved;
mod script;
mod send;
mod summary;
mod transaction;
mod undo;
mod users;
mod write;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Instant;

pub use self::apply::{RestorePlan, RestoreReport};
pub use self::check::RestoreCheck;
pub use self::mode::RestoreMode;
use self::origin::Origin;
use self::planning::Planning;
pub use self::revert::Undo;
use self::saved::is_undo;
pub use self::summary::{PlanSummary, Tallies, Tally};
pub use self::users::{UserChange, UserPlan};
#[cfg(feature = "encrypt")]
use super::crypt::Encryption;
use super::grants::explained;
use super::leasing::{LeasePolicy, LeaseTtl, Leasing};
use super::open::ArchiveFile;
use super::progress::{Observer, Progress};
use super::salvage::SalvagedFile;
use super::selection::Selection;
use super::verify::verify_source;
use crate::archive::{Header, Lease};
use crate::client::{Client, Get};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{self, ClusterId, KeyRange, Revision};

/// A restore to be made: the keys of an archive, or some of them, into a live cluster.
///
/// [`Restore::plan`] reads only and says what would be done; [`RestorePlan::apply`] does it. Revisions go forward:
/// restored keys get new ones. Leases are granted again, by default with their old ids and their full time; one
/// that the cluster still has is used as it is.
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
    written: Option<PathBuf>,
    checked: bool,
    rate: Option<NonZeroU32>,
    leases: LeasePolicy,
    lease_ttl: LeaseTtl,
    #[cfg(feature = "encrypt")]
    encrypt_undo: Option<Encryption>,
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
            written: None,
            checked: true,
            rate: None,
            leases: LeasePolicy::default(),
            lease_ttl: LeaseTtl::default(),
            #[cfg(feature = "encrypt")]
            encrypt_undo: None,
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

    /// Before anything is written, saves the records that are going to be written to this file. [`Undo`] takes it
    /// instead of an archive that was restored: so a copy can be undone, too. Default: nothing is saved.
    #[must_use]
    pub fn save_written(self, path: impl Into<PathBuf>) -> Self {
        Self { written: Some(path.into()), ..self }
    }

    /// Which leases the keys get. Default: those that they had.
    #[must_use]
    pub fn leases(self, policy: LeasePolicy) -> Self {
        Self { leases: policy, ..self }
    }

    /// How long the leases live that are granted. Default: as long as they were granted for. A lease that the cluster
    /// has is used as it is.
    #[must_use]
    pub fn lease_ttl(self, ttl: LeaseTtl) -> Self {
        Self { lease_ttl: ttl, ..self }
    }

    /// Encrypts what is saved for undo, both files: they hold values, as archives do. Default: they are not.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypt_undo(self, encryption: Encryption) -> Self {
        Self { encrypt_undo: Some(encryption), ..self }
    }

    /// Does not compare once more at the end, which takes as long as reading the keys. Default: it does.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }

    /// Writes at most so many keys in a second. Default: as many as the cluster takes; the number of batches under
    /// way goes down while they take long.
    #[must_use]
    pub fn keys_per_second(self, rate: NonZeroU32) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Calls this while the archive is verified and compared with the cluster, when writing begins, and after every
    /// batch that was written. Default: nobody is told.
    #[must_use]
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Checks every byte of the archive, and compares it with the cluster at one revision meanwhile. Changes nothing
    /// in the cluster. Of several things that are wrong, the first to be found is told.
    ///
    /// Both come in blocks that are cut by content, so only blocks that differ are taken apart; all are where
    /// the mode overwrites what is equal. Memory is bounded;
    /// a long plan is kept in a temporary file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the archive is not good; [`ErrorKind::Config`] if it is of another cluster, if it
    /// can hold none of the keys, or if two keys would get one name; [`ErrorKind::AlreadyExists`] if the file for
    /// undo exists; otherwise as [`Client::scan`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time, and so may the plan; then there is no file for undo.
    pub async fn plan<'a>(&self, client: &Client, archive: &'a mut ArchiveFile) -> Result<RestorePlan<'a>> {
        let began = Instant::now();
        let archive: &'a ArchiveFile = archive;
        let header = archive.header();
        refuse_undo(header)?;
        let records = archive.all_records();
        let leases = records.all_facts::<Vec<Lease>>().await?.concat();
        let planning = Planning { restore: self, client, source: Some(header.cluster_id), began };
        let origin = Origin::Archive { records, leased: !leases.is_empty() };
        // Boxed, here and further down: futures that hold all that lies below them outgrow a thread's stack.
        let planned = Box::pin(planning.of_archive(origin, &header.range, leases));
        let ((), plan) = tokio::try_join!(self.check_archive(archive), planned)?;
        Ok(plan)
    }

    /// Whether the whole archive is as it was written. Its progress is that of the comparison that goes on beside it,
    /// which takes apart what differs.
    async fn check_archive(&self, archive: &ArchiveFile) -> Result<()> {
        if !self.mode.rewrites() {
            return archive.check_intact().await;
        }
        // Blocks that the comparison passes over are written, too.
        verify_source(archive.all_records().source(), &Observer::default()).await?.check()
    }

    /// As [`Restore::plan`], of what is left of a damaged archive. What is missing, [`SalvagedFile::report`] tells.
    /// Keys whose leases are lost get none.
    ///
    /// # Errors
    ///
    /// As [`Restore::plan`], but for damage; [`ErrorKind::Config`] also in modes that delete, since they would
    /// delete what the archive has lost, and for an archive that has lost its header unless
    /// [`Restore::any_cluster`] is given.
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
        let saved = report.header.as_ref().map_or_else(KeyRange::all, |header| header.range.clone());
        let source = report.header.as_ref().map(|header| header.cluster_id);
        let planning = Planning { restore: self, client, source, began };
        let origin = Origin::Archive { records: archive.all_records(), leased: !report.leases.is_empty() };
        Box::pin(planning.of_archive(origin, &saved, report.leases.clone())).await
    }

    /// As [`Restore::plan`], of another cluster as it is now instead of an archive: a copy, without a file in
    /// between.
    ///
    /// Both clusters go on meanwhile. The source is read at one revision, once here, once or twice while the plan
    /// is applied, and once for the comparison at the end: if it is compacted in between, that fails. A copy that
    /// was interrupted goes on by a new plan, which is of a newer revision; where the source has changed, modes
    /// that leave existing keys alone keep what was copied first. To be able to go back, save what will be changed
    /// ([`Restore::save_undo`]) and what is written in its place ([`Restore::save_written`]).
    ///
    /// ```no_run
    /// # async fn example(old: etcd_ark::Client, new: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use etcd_ark::backup::{Restore, RestoreMode};
    ///
    /// let report = Restore::new(RestoreMode::Refuse).plan_copy(&old, &new).await?.apply().await?;
    /// assert!(report.check.is_some_and(|check| check.equal));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if both are the same cluster and no key gets another name, or if two keys would get one
    /// name; [`ErrorKind::Compacted`] if the source has forgotten the revision; otherwise as [`Client::scan`].
    ///
    /// # Cancel safety
    ///
    /// As [`Restore::plan`].
    pub async fn plan_copy(&self, source: &Client, target: &Client) -> Result<RestorePlan<'static>> {
        let began = Instant::now();
        let newest = self.newest(source).await?;
        let planning = Planning { restore: self, client: target, source: Some(newest.cluster_id), began };
        Box::pin(planning.of_cluster(source, Origin::Cluster(source.clone(), newest))).await
    }

    /// Asks for one of the keys that are to be read: the user may have no right to others.
    async fn newest(&self, source: &Client) -> Result<types::Header> {
        let segments = self.selection.segments(&[])?;
        let range = segments.first().map_or_else(KeyRange::all, |first| first.source.clone());
        let answer = source.send(Get::new(KeyRange::key(range.start().clone()))).await;
        Ok(explained(answer, source, &range).await?.header)
    }

    fn leasing(&self, source: Option<ClusterId>) -> Leasing {
        Leasing::new(self.leases, self.lease_ttl, source, &self.selection)
    }
}

fn refuse_undo(header: &Header) -> Result<()> {
    if is_undo(header) {
        let what =
            "this archive holds what a restore has changed, and is no backup; undo the restore with it";
        return Err(Error::new(ErrorKind::Config, what));
    }
    Ok(())
}
