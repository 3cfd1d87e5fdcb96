//! Plans: what they say, what they read, and that what they say is done, no more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use etcd_ark::backup::{ArchiveFile, Backup, PlanSummary, Restore, RestoreMode, RestoreReport, Selection};
use etcd_ark::{Client, ErrorKind, Event, Get, GrantLease, KeyRange, Put, Revision, Scan, Watch};
use futures_util::TryStreamExt;
use tempfile::{TempDir, tempdir};

use crate::client_of;
use crate::scan::load;
use crate::support::Server;
use crate::watch::changes;

const MODES: [RestoreMode; 6] = [
    RestoreMode::Refuse,
    RestoreMode::Missing,
    RestoreMode::Unchanged,
    RestoreMode::Replace,
    RestoreMode::Mirror,
    RestoreMode::Overwrite,
];

struct Place {
    client: Client,
    folder: TempDir,
    _server: Server,
}

impl Place {
    async fn new() -> Self {
        let server = Server::start().await;
        Self { client: client_of(&server).await, folder: tempdir().unwrap(), _server: server }
    }

    /// A server of which a backup was made when it held these keys, and which has changed since then.
    async fn changed() -> Self {
        let place = Self::new().await;
        load(&place.client, "a/", 300, "saved").await;
        load(&place.client, "b/", 200, "saved").await;
        place.save("saved.ark").await;
        place.client.delete(KeyRange::between("a/00000010", "a/00000020")).await.unwrap();
        place.client.put("a/00000030", "newer").await.unwrap();
        place.client.put("b/extra", "extra").await.unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn save(&self, name: &str) {
        Backup::new().save(&self.client, self.path(name)).await.unwrap();
    }

    async fn open(&self) -> ArchiveFile {
        ArchiveFile::open(self.path("saved.ark")).await.unwrap()
    }

    async fn plan(&self, restore: Restore) -> etcd_ark::Result<PlanSummary> {
        let mut archive = self.open().await;
        Ok(restore.plan(&self.client, &mut archive).await?.summary().clone())
    }

    async fn restore(&self, restore: Restore) -> etcd_ark::Result<RestoreReport> {
        restore.plan(&self.client, &mut self.open().await).await?.apply().await
    }

    async fn revision(&self) -> Revision {
        self.client.send(Get::new("none")).await.unwrap().header.revision
    }

    /// Keys and values.
    async fn state(&self) -> BTreeMap<Bytes, Bytes> {
        let kvs: Vec<_> = self.client.scan(Scan::all()).try_collect().await.unwrap();
        kvs.into_iter().map(|kv| (kv.key, kv.value)).collect()
    }

    async fn value(&self, key: &str) -> Option<Bytes> {
        self.client.get(key.to_owned()).await.unwrap().map(|kv| kv.value)
    }
}

/// Keys that are created, updated, deleted, unchanged, kept, extra.
fn counts(summary: &PlanSummary) -> [u64; 6] {
    let total = &summary.total;
    [total.create, total.update, total.delete, total.unchanged, total.keep, total.extra]
        .map(|tally| tally.keys)
}

#[tokio::test]
async fn a_plan_counts_exactly_what_each_mode_would_do_and_does_nothing() {
    let place = Place::changed().await;
    let before = place.revision().await;
    for (mode, expected) in MODES.into_iter().zip([
        [10, 0, 0, 489, 1, 1],
        [10, 0, 0, 489, 1, 1],
        [10, 1, 0, 489, 0, 1],
        [10, 1, 0, 489, 0, 1],
        [10, 1, 1, 489, 0, 0],
        [10, 490, 1, 0, 0, 0],
    ]) {
        let summary = place.plan(Restore::new(mode)).await.unwrap();
        assert_eq!(counts(&summary), expected, "{mode:?}");
        assert_eq!(summary.target.revision, before);
        assert_eq!(summary.total.create.bytes, 10 * (10 + 5));
        let prefixes: Vec<_> =
            summary.prefixes.iter().map(|(prefix, tallies)| (&prefix[..], tallies.create.keys)).collect();
        assert_eq!(prefixes, [(&b"a/"[..], 10), (b"b/", 0)]);
        let kept = if mode.is_destructive() { vec![] } else { vec![Bytes::from("a/00000030")] };
        assert_eq!(summary.conflicts, kept);
    }
    assert_eq!(place.revision().await, before, "a plan reads only");
}

#[tokio::test]
async fn each_mode_does_what_its_plan_says() {
    for mode in MODES {
        let place = Place::changed().await;
        let before = place.revision().await;
        let summary = place.plan(Restore::new(mode)).await.unwrap();
        let result = place.restore(Restore::new(mode)).await;
        if mode == RestoreMode::Refuse {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
            assert_eq!(place.revision().await, before);
            continue;
        }
        let report = result.unwrap();
        assert_eq!(
            (report.written, report.deleted),
            (summary.writes(), summary.total.delete.keys),
            "{mode:?}"
        );
        assert_eq!(
            (report.left, report.before, report.revision),
            (0, before, place.revision().await),
            "{mode:?}"
        );
        let check = report.check.unwrap();
        let different = u64::from(mode == RestoreMode::Missing);
        assert_eq!((check.same, check.different, check.missing), (500 - different, different, 0), "{mode:?}");
        let archived = place.open().await.summary().content_root;
        assert_eq!(check.content_root == archived, mode != RestoreMode::Missing, "{mode:?}");
        assert_eq!(check.revision, report.revision);
        let newer = if mode == RestoreMode::Missing { "newer" } else { "saved" };
        assert_eq!(place.value("a/00000030").await.unwrap(), newer, "{mode:?}");
        let mirrors = matches!(mode, RestoreMode::Mirror | RestoreMode::Overwrite);
        assert_eq!(place.value("b/extra").await.is_none(), mirrors, "{mode:?}");
        let again = place.plan(Restore::new(RestoreMode::Mirror)).await.unwrap();
        assert_eq!(again.is_nothing(), mirrors, "{mode:?}: {again:?}");
        let version = place.client.get("b/00000000").await.unwrap().unwrap().version;
        assert_eq!(version, if mode == RestoreMode::Overwrite { 2 } else { 1 }, "{mode:?}");
    }
}

#[tokio::test]
async fn what_is_written_between_plan_and_apply_is_left_alone_or_not_as_the_mode_says() {
    for mode in MODES {
        let place = Place::changed().await;
        if mode == RestoreMode::Refuse {
            place.client.put("a/00000030", "saved").await.unwrap();
        }
        let mut archive = place.open().await;
        let plan = Restore::new(mode).plan(&place.client, &mut archive).await.unwrap();
        // Missing in the plan, changed in the plan, deleted by the plan, not in the plan, unchanged in the plan.
        for key in ["a/00000010", "a/00000030", "b/extra", "b/late", "a/00000000"] {
            place.client.put(key, "meanwhile").await.unwrap();
        }
        let report = plan.apply().await.unwrap();
        let held = async |key: &str| place.value(key).await.is_some_and(|value| value == "meanwhile");
        let (created, updated) = (held("a/00000010").await, held("a/00000030").await);
        let (extra, late, unchanged) =
            (held("b/extra").await, held("b/late").await, held("a/00000000").await);
        let left: Vec<_> = report.left_keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
        assert_eq!(report.left, left.len() as u64);
        match mode {
            RestoreMode::Refuse | RestoreMode::Missing => {
                assert!(created && updated && extra && late && unchanged, "{mode:?}");
                assert_eq!(left, ["a/00000010"], "{mode:?}");
            }
            RestoreMode::Unchanged => {
                assert!(created && updated && extra && late && unchanged, "{mode:?}");
                assert_eq!(left, ["a/00000010", "a/00000030"], "{mode:?}");
            }
            RestoreMode::Replace => {
                assert!(!created && !updated && extra && late && unchanged, "{mode:?}");
                assert!(left.is_empty(), "{mode:?}");
            }
            RestoreMode::Mirror => {
                assert!(!created && !updated && extra && late && unchanged, "{mode:?}");
                assert_eq!(left, ["b/extra"], "{mode:?}");
            }
            RestoreMode::Overwrite => {
                assert!(!created && !updated && !extra && late && !unchanged, "{mode:?}");
                assert!(left.is_empty(), "{mode:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_was_deleted_meanwhile_is_a_changed_key_too() {
    let place = Place::changed().await;
    let mut archive = place.open().await;
    let plan = Restore::new(RestoreMode::Unchanged).plan(&place.client, &mut archive).await.unwrap();
    place.client.delete("a/00000030").await.unwrap();
    let report = plan.apply().await.unwrap();
    assert_eq!((report.written, report.left, report.left_keys), (10, 1, vec![Bytes::from("a/00000030")]));
    assert!(place.value("a/00000030").await.is_none());
}

#[tokio::test]
async fn selections_renames_and_exclusions_are_followed() {
    let place = Place::changed().await;
    let selection = Selection::new()
        .range(KeyRange::prefix("a/0000001"))
        .range(KeyRange::key("b/00000000"))
        .exclude(KeyRange::key("a/00000019"))
        .only(|key| !key.ends_with(b"8"))
        .rename("a/", "c/");
    let restore = Restore::new(RestoreMode::Mirror).select(selection);
    // In the way of nothing, and outside of what is selected.
    place.client.put("c/00000018", "mine").await.unwrap();
    place.client.put("c/00000029", "mine").await.unwrap();
    // Selected, and not in the archive under its former name.
    place.client.put("c/0000001x", "extra").await.unwrap();
    let summary = place.plan(restore.clone()).await.unwrap();
    assert_eq!(counts(&summary), [8, 0, 1, 1, 0, 0], "{summary:?}");
    let before = place.state().await;
    place.restore(restore.clone()).await.unwrap();
    let mut expected = before;
    expected.remove(&b"c/0000001x"[..]);
    expected.extend((10..18).map(|number| (format!("c/000000{number}").into(), "saved".into())));
    assert_eq!(place.state().await, expected);
    assert!(place.plan(restore).await.unwrap().is_nothing());
}

#[tokio::test]
async fn two_keys_never_go_to_one_name() {
    let place = Place::changed().await;
    let restore = Restore::new(RestoreMode::Replace).select(Selection::new().rename("a/", "b/"));
    let error = place.plan(restore).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("b/00000000"), "{error}");
    // Where the archive holds nothing, nothing is in the way; and the extra key of the target is none of the archive's.
    let restore = Restore::new(RestoreMode::Missing).select(Selection::new().rename("a/", "z/"));
    assert_eq!(counts(&place.plan(restore).await.unwrap()), [300, 0, 0, 200, 0, 1]);
}

#[tokio::test]
async fn blocks_are_recognized_in_a_live_cluster_wherever_changes_shift_them() {
    let place = Place::new().await;
    load(&place.client, "k/", 6000, &"v".repeat(400)).await;
    place.save("saved.ark").await;
    for key in ["k/00000000", "k/00003000x", "k/00005999"] {
        place.client.put(key, "changed").await.unwrap();
    }
    place.client.delete(KeyRange::between("k/00001000", "k/00001100")).await.unwrap();
    let summary = place.plan(Restore::new(RestoreMode::Mirror)).await.unwrap();
    assert_eq!(counts(&summary), [100, 2, 1, 5898, 0, 0]);
    assert_eq!(summary.total.unchanged.bytes, 5898 * 410);
    // A part of the archive begins and ends within blocks.
    let part = Restore::new(RestoreMode::Mirror).select(KeyRange::between("k/00000500", "k/00004500"));
    assert_eq!(counts(&place.plan(part).await.unwrap()), [100, 0, 1, 3900, 0, 0]);
}

#[tokio::test]
async fn another_lease_is_a_difference_and_the_same_is_none() {
    let place = Place::new().await;
    let lease = |id| GrantLease::new(Duration::from_secs(600)).id(etcd_ark::LeaseId(id));
    for id in [7, 8] {
        place.client.send(lease(id)).await.unwrap();
    }
    let put = async |key: &str, id| {
        let put = Put::new(key.to_owned(), "v").lease(etcd_ark::LeaseId(id));
        place.client.send(put).await.unwrap();
    };
    for key in ["a", "b", "c"] {
        put(key, 7).await;
    }
    place.save("saved.ark").await;
    put("a", 7).await;
    put("b", 8).await;
    place.client.put("c", "v").await.unwrap();
    let summary = place.plan(Restore::new(RestoreMode::Replace)).await.unwrap();
    assert_eq!((counts(&summary), summary.leases), ([0, 2, 0, 1, 0, 0], 1));
    place.restore(Restore::new(RestoreMode::Replace)).await.unwrap();
    assert!(place.plan(Restore::new(RestoreMode::Mirror)).await.unwrap().is_nothing());
}

#[tokio::test]
async fn another_cluster_is_a_target_only_if_that_is_meant() {
    let place = Place::changed().await;
    let other = Place::new().await;
    std::fs::copy(place.path("saved.ark"), other.path("saved.ark")).unwrap();
    let archived = place.open().await.header().cluster_id;
    // Servers of the same name and ports would have the same id; these are on ports of their own.
    let error = other.plan(Restore::new(RestoreMode::Missing)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains(&archived.to_string()), "{error}");
    let report = other.restore(Restore::new(RestoreMode::Missing).any_cluster()).await.unwrap();
    assert_eq!(report.written, 500);
}

#[tokio::test]
async fn requests_are_counted_before_and_a_plan_survives_compaction() {
    let place = Place::new().await;
    load(&place.client, "a/", 1000, "saved").await;
    place.save("saved.ark").await;
    place.client.delete(KeyRange::all()).await.unwrap();
    let mut archive = place.open().await;
    let plan = Restore::new(RestoreMode::Unchanged).plan(&place.client, &mut archive).await.unwrap();
    assert_eq!(plan.summary().requests, 8, "1000 keys, 128 at a time");
    let newest = place.client.put("late", "v").await.unwrap().header.revision;
    place.client.send(etcd_ark::Compact::new(newest)).await.unwrap();
    assert_eq!(plan.apply().await.unwrap().written, 1000);
}

#[tokio::test]
async fn what_was_written_after_the_first_plan_is_left_alone_if_that_is_said() {
    let place = Place::changed().await;
    let first = place.plan(Restore::new(RestoreMode::Mirror)).await.unwrap().target.revision;
    for key in ["a/00000010", "a/00000030", "b/extra"] {
        place.client.put(key, "meanwhile").await.unwrap();
    }
    place.client.put("a/00000011", "saved").await.unwrap();
    let again = Restore::new(RestoreMode::Mirror).unchanged_since(first);
    let summary = place.plan(again.clone()).await.unwrap();
    assert_eq!(counts(&summary), [8, 0, 0, 490, 2, 1]);
    assert_eq!(summary.conflicts, ["a/00000010", "a/00000030"]);
    place.restore(again).await.unwrap();
    for key in ["a/00000010", "a/00000030", "b/extra"] {
        assert_eq!(place.value(key).await.unwrap(), "meanwhile", "{key}");
    }
    assert!(!place.plan(Restore::new(RestoreMode::Mirror)).await.unwrap().is_nothing());
}

#[tokio::test]
async fn deletions_come_after_every_put_so_that_the_range_is_never_emptier() {
    for mode in [RestoreMode::Mirror, RestoreMode::Overwrite] {
        let place = Place::changed().await;
        // Keys that go, before, among and behind those that are written.
        load(&place.client, "A/", 300, "extra").await;
        load(&place.client, "a/00000010/", 300, "extra").await;
        let report = place.restore(Restore::new(mode)).await.unwrap();
        assert_eq!(report.deleted, 601);
        let mut watch = place.client.watch(Watch::new(KeyRange::all()).from(report.before.next()));
        let (mut puts, mut deletions) = (0, 0);
        while puts + deletions < report.written + report.deleted {
            for event in changes(&mut watch).await.events {
                match event {
                    Event::Put { .. } => puts += 1,
                    _ => deletions += 1,
                }
                assert!(deletions == 0 || puts == report.written, "{mode:?}: deleted after {puts} puts");
            }
        }
    }
}
