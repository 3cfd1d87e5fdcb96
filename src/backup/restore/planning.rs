//! Comparing what is to be restored with the target, and taking down what is to be done.

use std::collections::BTreeSet;
use std::mem;
use std::time::{Duration, Instant};

use super::Restore;
use super::apply::RestorePlan;
use super::origin::Origin;
use super::pace::IN_FLIGHT;
use super::plan::Planner;
use super::undo::{UndoFiles, UndoWriter};
use crate::archive::Lease;
use crate::backup::compare::{Comparison, Live, Side};
use crate::backup::grants::{Grants, explained};
use crate::backup::leases::read_leases;
use crate::backup::leasing::Leasing;
use crate::backup::progress::Phase;
use crate::backup::selection::Segment;
use crate::client::{Client, Get, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, Header, KeyRange, KeyValue, LeaseId};
use crate::util::Escaped;

/// A plan in the making.
pub(super) struct Planning<'a> {
    pub(super) restore: &'a Restore,
    pub(super) client: &'a Client,
    /// The cluster that is restored from, if it is known.
    pub(super) source: Option<ClusterId>,
    pub(super) began: Instant,
}

/// What was found.
struct Found {
    target: Header,
    planner: Planner,
    undo: UndoFiles,
    /// Those of a source that is a cluster.
    leases: BTreeSet<LeaseId>,
}

impl Planning<'_> {
    /// The plan of a restore from an archive with these leases.
    pub(super) async fn of_archive<'r>(
        self,
        origin: Origin<'r>,
        saved: &KeyRange,
        leases: Vec<Lease>,
    ) -> Result<RestorePlan<'r>> {
        let segments = segments(self.restore, &origin, saved).await?;
        let target = self.read_target(&segments, &origin).await?;
        self.check_archives_cluster(cluster_of(&target)?.cluster_id)?;
        let source = origin.open(&segments, self.leasing()).await?;
        let found = Box::pin(self.compare(source, target)).await?;
        self.finish(found, origin, segments, &leases).await
    }

    /// The plan of a copy of a cluster.
    pub(super) async fn of_cluster<'r>(self, client: &Client, origin: Origin<'r>) -> Result<RestorePlan<'r>> {
        let segments = segments(self.restore, &origin, &KeyRange::all()).await?;
        let target = self.read_target(&segments, &origin).await?;
        self.check_other_cluster(cluster_of(&target)?.cluster_id)?;
        let source = origin.open(&segments, self.leasing()).await?;
        let mut found = Box::pin(self.compare(source, target)).await?;
        let leases = read_leases(client, mem::take(&mut found.leases)).await;
        let leases = leases.map_err(|error| error.context("reading the source"))?;
        self.finish(found, origin, segments, &leases).await
    }

    fn leasing(&self) -> Leasing {
        self.restore.leasing(self.source)
    }

    async fn read_target(&self, segments: &[Segment], origin: &Origin<'_>) -> Result<Live> {
        let range = segments.first().map_or_else(KeyRange::all, |segment| segment.target.clone());
        explained(Live::open(self.client, segments, None, origin.is_leased()).await, self.client, &range)
            .await
    }

    async fn compare(&self, source: Side<'_>, target: Live) -> Result<Found> {
        let pinned = cluster_of(&target)?;
        let mut files = UndoFiles::begin(self.restore).await?;
        let mut undo = UndoWriter::begin(self.client, pinned, &mut files, self.restore).await?;
        let grants = Grants::known(self.client).await;
        let mut planner = Planner::new(self.restore.mode, self.restore.since, grants);
        let mut comparison = Comparison::new(source, target, true);
        let mut progress = self.restore.observer.begin(Phase::Comparing, None);
        while let Some(compared) = comparison.next().await? {
            progress.add(compared.keys(), compared.bytes());
            if let Some(changed) = planner.take(compared, &comparison)? {
                undo.save(changed).await?;
            }
        }
        undo.finish(self.client).await?;
        Ok(Found { target: pinned, planner, undo: files, leases: comparison.left_leases() })
    }

    async fn finish<'r>(
        self,
        found: Found,
        origin: Origin<'r>,
        segments: Vec<Segment>,
        leases: &[Lease],
    ) -> Result<RestorePlan<'r>> {
        let round_trip = round_trip(self.client, &segments).await?;
        let leasing = self.leasing();
        Ok(RestorePlan {
            client: self.client.clone(),
            origin,
            segments,
            grants: leasing.grants(leases),
            leasing,
            planned: found.planner.finish(found.target, round_trip, IN_FLIGHT)?,
            undo: found.undo,
            checked: self.restore.checked,
            rate: self.restore.rate,
            observer: self.restore.observer.clone(),
            elapsed: self.began.elapsed(),
        })
    }

    fn check_archives_cluster(&self, target: ClusterId) -> Result<()> {
        if self.source == Some(target) || self.restore.any_cluster {
            return Ok(());
        }
        let source =
            self.source.map_or_else(|| "a cluster that is lost".to_owned(), |id| format!("cluster {id}"));
        let what = format!(
            "the archive is of {source}, but the endpoints are of cluster {target}; nothing was written; \
             allow another cluster if that is meant (ark: --any-cluster)"
        );
        Err(Error::new(ErrorKind::Config, what))
    }

    /// Under its own names a cluster's copy of itself is itself.
    fn check_other_cluster(&self, target: ClusterId) -> Result<()> {
        if self.source != Some(target) || self.restore.selection.renames() {
            return Ok(());
        }
        let what = format!(
            "source and target are the same cluster, {target}; nothing was written; name another target, or other \
             names for the keys (ark: --map)"
        );
        Err(Error::new(ErrorKind::Config, what))
    }
}

/// What is to be restored, and where to; never beyond what was saved: other keys are none of the archive's business.
async fn segments(restore: &Restore, origin: &Origin<'_>, saved: &KeyRange) -> Result<Vec<Segment>> {
    let range = std::slice::from_ref(saved);
    for way in restore.selection.in_the_way(range) {
        if let Some(first) = origin.some_of(way).await?.first() {
            return Err(in_the_way(first));
        }
    }
    let segments = restore.selection.segments(range)?;
    if segments.is_empty() {
        let what = format!("none of the selected keys can be in the archive, which holds {saved}");
        return Err(Error::new(ErrorKind::Config, what));
    }
    Ok(segments)
}

/// Who is read, and at which revision.
fn cluster_of(target: &Live) -> Result<Header> {
    target.pinned().ok_or_else(|| malformed("a scan ended without a page"))
}

/// How long a read of one key takes.
async fn round_trip(client: &Client, segments: &[Segment]) -> Result<Duration> {
    let Some(first) = segments.first() else { return Ok(Duration::ZERO) };
    let began = Instant::now();
    client.send(Get::new(first.target.start().clone())).await?;
    Ok(began.elapsed())
}

fn in_the_way(first: &KeyValue) -> Error {
    let what = format!(
        "keys are to go where others of the source stay, as {}; leave those out, or give them another place too",
        Escaped(&first.key)
    );
    Error::new(ErrorKind::Config, what)
}
