use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::RestoreMode;
use super::apply::RestorePlan;
use super::lookup::Lookup;
use super::origin::Origin;
use super::pace::IN_FLIGHT;
use super::plan::{Decided, Planner};
use super::saved::{check_restored, check_undo, is_absent, is_undo, lease_policy};
use super::summary::Fate;
use super::undo::UndoFiles;
use crate::backup::compare::Archived;
use crate::backup::grants::Grants;
use crate::backup::leasing::{LeasePolicy, LeaseTtl, Leasing};
use crate::backup::open::ArchiveFile;
use crate::backup::progress::{Observer, Phase, Progress, Tracker};
use crate::backup::selection::Selection;
use crate::backup::verify::VerifyReport;
use crate::client::{Client, Get, ListMembers};
use crate::error::Result;
use crate::types::{Header, KeyValue};

/// Keys that are decided about at once.
const PORTION: usize = 128;
/// Of those, how many the cluster is asked for at once.
const LOOKS_AT_ONCE: usize = 32;

/// The undoing of a restore, by what [`Restore::save_undo`](super::Restore::save_undo) has saved.
///
/// Keys that hold what was restored become what they were before; keys that hold anything else were written by
/// somebody since, and are left alone. A restore that was interrupted can be undone too.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::backup::{ArchiveFile, Undo};
///
/// let mut saved = ArchiveFile::open("app.undo.ark").await?;
/// let mut restored = ArchiveFile::open("app.ark").await?;
/// let report = Undo::new().plan(&client, &mut saved, &mut restored).await?.apply().await?;
/// println!("{} put back, {} deleted", report.written, report.deleted);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Undo {
    selection: Selection,
    observer: Observer,
}

impl Undo {
    /// Undoes a restore under the archive's own names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the restore selected: its renames are needed to know what was restored, unless that was saved
    /// ([`Restore::save_written`](super::Restore::save_written)). Default: everything, as it was named.
    #[must_use]
    pub fn select(self, selection: impl Into<Selection>) -> Self {
        Self { selection: selection.into(), ..self }
    }

    /// Calls this as [`Restore::on_progress`](super::Restore::on_progress) does. Default: nobody is told.
    #[must_use]
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Verifies both archives and looks up what the cluster holds of the keys that were changed. Changes nothing.
    /// `restored` is the archive that was restored, or what [`Restore::save_written`](super::Restore::save_written)
    /// saved.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if an archive is not good; [`ErrorKind::Config`](crate::ErrorKind::Config) if the first was not saved for undo, or
    /// in another cluster, or the second by another restore; otherwise as [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time, and so may the plan.
    pub async fn plan<'a>(
        &self,
        client: &Client,
        undo: &'a mut ArchiveFile,
        restored: &mut ArchiveFile,
    ) -> Result<RestorePlan<'a>> {
        let began = Instant::now();
        let verified = self.verified(undo).await?;
        self.verified(restored).await?;
        let target = client.send(ListMembers::new()).await?.header;
        let options = undo.options().await?.unwrap_or_default();
        check_undo(undo.header(), &options, target)?;
        let of_restored = restored.options().await?.unwrap_or_default();
        check_restored(restored.header(), &of_restored, undo.header())?;
        let segments = Selection::new().segments(&[])?;
        let grants = Grants::known(client).await;
        let mut planning = Planning {
            client,
            planner: Planner::new(RestoreMode::Unchanged, None, grants),
            restored: Lookup::new(self.written(restored, lease_policy(&options))?),
            progress: self.observer.begin(Phase::Comparing, Some(undo.summary().records)),
            target,
        };
        Box::pin(planning.read(Archived::new(undo.all_records(), &segments, true))).await?;
        let planned = planning.planner.finish(planning.target, began.elapsed(), IN_FLIGHT)?;
        Ok(RestorePlan {
            client: client.clone(),
            origin: Origin::Archive { records: undo.all_records(), leased: verified.leased },
            segments,
            leasing: Leasing::default(),
            grants: Leasing::default().grants(&verified.leases),
            planned,
            undo: UndoFiles::default(),
            // It would read the whole keyspace for what may be a few keys.
            checked: false,
            rate: None,
            observer: self.observer.clone(),
            elapsed: began.elapsed(),
        })
    }

    /// What the restore wrote, as it wrote it.
    fn written<'a>(&self, restored: &'a ArchiveFile, policy: LeasePolicy) -> Result<Archived<'a>> {
        let (records, header) = (restored.all_records(), restored.header());
        if is_undo(header) {
            return Ok(Archived::new(records, &Selection::new().segments(&[])?, true));
        }
        let segments = self.selection.segments(std::slice::from_ref(&header.range))?;
        let leasing = Leasing::new(policy, LeaseTtl::Full, Some(header.cluster_id), &self.selection);
        Ok(Archived::new(records, &segments, true).leasing(leasing))
    }

    async fn verified(&self, archive: &mut ArchiveFile) -> Result<VerifyReport> {
        let verified = Box::pin(archive.verify_observed(&self.observer)).await?;
        verified.check().map(|()| verified)
    }
}

/// The planning of one undo.
struct Planning<'a> {
    client: &'a Client,
    planner: Planner,
    restored: Lookup<'a>,
    progress: Tracker,
    target: Header,
}

impl Planning<'_> {
    async fn read(&mut self, mut undo: Archived<'_>) -> Result<()> {
        while let Some(run) = undo.next_run().await? {
            let records: Vec<_> = undo.opened(run).await?.into_records().into();
            for portion in records.chunks(PORTION) {
                self.take(portion).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, before: &[KeyValue]) -> Result<()> {
        let found = self.find(before).await?;
        for before in before {
            let restored = self.restored.get(&before.key).await?;
            let key = decide(before, restored.as_ref(), found.get(&before.key));
            self.progress.add(1, (before.key.len() + before.value.len()) as u64);
            self.planner.revert(key)?;
        }
        Ok(())
    }

    /// What the cluster holds of these keys. At no common revision: what is written is guarded by what was found.
    async fn find(&mut self, keys: &[KeyValue]) -> Result<HashMap<Bytes, KeyValue>> {
        let (client, keys) = (self.client, keys.iter().map(|kv| kv.key.clone()));
        let asked = stream::iter(keys).map(|key| client.send(Get::new(key)));
        let answers: Vec<_> = asked.buffered(LOOKS_AT_ONCE).try_collect().await?;
        self.target = answers.last().map_or(self.target, |answer| answer.header);
        Ok(answers.into_iter().flat_map(|answer| answer.kvs).map(|kv| (kv.key.clone(), kv)).collect())
    }
}

/// What becomes of a key that was `before`, then was restored, and is found as something.
fn decide(before: &KeyValue, restored: Option<&KeyValue>, found: Option<&KeyValue>) -> Decided {
    let was = Some(before).filter(|kv| !is_absent(kv));
    let fate = match (was, found) {
        _ if same(was, found) => Fate::Unchanged,
        _ if !same(restored, found) => Fate::Keep,
        (None, _) => Fate::Delete,
        (Some(_), None) => Fate::Create,
        (Some(_), Some(_)) => Fate::Update,
    };
    Decided { fate, archived: Some(before.clone()), found: found.cloned() }
}

fn same(one: Option<&KeyValue>, other: Option<&KeyValue>) -> bool {
    let part = |kv: &KeyValue| (kv.value.clone(), kv.lease);
    one.map(part) == other.map(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LeaseId, Revision};

    fn kv(value: &str, created: i64, lease: Option<i64>) -> KeyValue {
        KeyValue {
            key: "k".into(),
            value: value.to_owned().into(),
            create_revision: Revision(created),
            mod_revision: Revision(created),
            version: created,
            lease: lease.map(LeaseId),
        }
    }

    #[test]
    fn only_what_was_restored_is_undone() {
        let (absent, old, new, other) =
            (kv("", 0, None), kv("old", 1, None), kv("new", 2, None), kv("other", 3, None));
        let leased = kv("new", 4, Some(7));
        for (before, restored, found, expected) in [
            (&old, Some(&new), Some(&new), Fate::Update),
            (&old, Some(&new), Some(&old), Fate::Unchanged),
            (&old, Some(&new), Some(&other), Fate::Keep),
            (&old, Some(&new), Some(&leased), Fate::Keep),
            (&old, Some(&new), None, Fate::Keep),
            (&old, None, None, Fate::Create),
            (&old, None, Some(&old), Fate::Unchanged),
            (&old, None, Some(&other), Fate::Keep),
            (&absent, Some(&new), Some(&new), Fate::Delete),
            (&absent, Some(&new), None, Fate::Unchanged),
            (&absent, Some(&new), Some(&other), Fate::Keep),
        ] {
            assert_eq!(decide(before, restored, found).fate, expected, "{before:?} {restored:?} {found:?}");
        }
    }
}
