//! Copies of one live cluster to another.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use etcd_ark::backup::{ArchiveFile, Backup, LeasePolicy, Restore, RestoreMode, Selection, Undo};
use etcd_ark::{
    Client, Compact, Credentials, ErrorKind, Get, GrantLease, KeyRange, LeaseId, LeaseTimeToLive, Put,
    Revision, Scan,
};
use futures_util::TryStreamExt;
use tempfile::tempdir;

use crate::client_of;
use crate::scan::load;
use crate::support::{Permission, Server};

struct Two {
    source: Client,
    target: Client,
    old: Server,
    new: Server,
}

impl Two {
    async fn new() -> Self {
        let (old, new) = (Server::start().await, Server::start().await);
        Self { source: client_of(&old).await, target: client_of(&new).await, old, new }
    }

    /// With this many keys under `a/` and under `b/` in the source.
    async fn with(keys: usize) -> Self {
        let two = Self::new().await;
        for prefix in ["a/", "b/"] {
            load(&two.source, prefix, keys, &"v".repeat(100)).await;
        }
        two
    }
}

async fn count(client: &Client) -> u64 {
    client.send(Get::new(KeyRange::all()).count_only()).await.unwrap().count
}

#[tokio::test]
async fn a_copy_is_of_one_revision_whatever_is_written_meanwhile() {
    let two = Two::with(3000).await;
    let pinned = two.source.send(Get::new("none")).await.unwrap().header.revision;
    let plan = Restore::new(RestoreMode::Refuse).plan_copy(&two.source, &two.target).await.unwrap();
    assert_eq!((plan.summary().writes(), plan.source().unwrap().revision), (6000, pinned));
    assert_eq!(count(&two.target).await, 0, "a plan only reads");
    two.source.put("a/00000000", "newer").await.unwrap();
    two.source.delete("b/00000001").await.unwrap();
    two.source.put("c", "new").await.unwrap();
    let report = plan.apply().await.unwrap();
    let check = report.check.unwrap();
    assert!(check.equal && (report.written, check.same) == (6000, 6000), "{check:?}");
    let copied: Vec<_> = two.target.scan(Scan::all()).try_collect().await.unwrap();
    let then: Vec<_> = two.source.scan(Scan::all().at(pinned)).try_collect().await.unwrap();
    let content =
        |kvs: Vec<etcd_ark::KeyValue>| kvs.into_iter().map(|kv| (kv.key, kv.value)).collect::<Vec<_>>();
    assert_eq!(content(copied), content(then));

    let again = Restore::new(RestoreMode::Mirror).plan_copy(&two.source, &two.target).await.unwrap();
    let report = again.apply().await.unwrap();
    assert_eq!((report.written, report.deleted, report.kept), (2, 1, 5998));
    assert!(report.check.unwrap().equal);
}

#[tokio::test]
async fn leases_are_granted_in_the_target_as_the_policy_says() {
    let two = Two::new().await;
    let lease = two.source.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    for key in ["a", "b"] {
        two.source.send(Put::new(key, "v").lease(lease)).await.unwrap();
    }
    two.source.put("c", "v").await.unwrap();
    for policy in [LeasePolicy::SameId, LeasePolicy::NewId, LeasePolicy::Drop] {
        two.target.delete(KeyRange::all()).await.unwrap();
        let restore = Restore::new(RestoreMode::Refuse).leases(policy);
        let report = restore.plan_copy(&two.source, &two.target).await.unwrap().apply().await.unwrap();
        let [a, b] = ["a", "b"].map(|key| two.target.get(key));
        let (a, b) = (a.await.unwrap().unwrap().lease, b.await.unwrap().unwrap().lease);
        assert!(a == b && a.is_some() == (policy != LeasePolicy::Drop), "{policy:?}");
        assert_eq!(a == Some(lease), policy == LeasePolicy::SameId);
        assert_eq!((report.check.unwrap().same, report.leases), (3, u64::from(a.is_some())), "{policy:?}");
        if let Some(lease) = a {
            let times = two.target.send(LeaseTimeToLive::new(lease)).await.unwrap().lease.unwrap();
            assert_eq!(times.granted, Duration::from_secs(600));
        }
        let again = restore.plan_copy(&two.source, &two.target).await.unwrap();
        assert!(again.summary().is_nothing(), "{policy:?}");
    }
}

#[tokio::test]
async fn selections_and_renames_hold_for_copies_and_within_one_cluster() {
    let two = Two::with(300).await;
    two.target.put("z/00000007", "mine").await.unwrap();
    let selection = || Selection::from(KeyRange::prefix("a/")).rename("a/", "z/");
    let refused = Restore::new(RestoreMode::Refuse).select(selection());
    let plan = refused.plan_copy(&two.source, &two.target).await.unwrap();
    assert_eq!(plan.apply().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(count(&two.target).await, 1);
    let missing = Restore::new(RestoreMode::Missing).select(selection());
    let report = missing.plan_copy(&two.source, &two.target).await.unwrap().apply().await.unwrap();
    assert_eq!((report.written, report.kept), (299, 1));
    let check = report.check.unwrap();
    assert!(!check.equal && check.different == 1, "{check:?}");

    let report = missing.plan_copy(&two.source, &two.source).await.unwrap().apply().await.unwrap();
    assert!(report.written == 300 && report.check.unwrap().equal);
    let itself = Restore::new(RestoreMode::Replace).plan_copy(&two.source, &two.source).await.unwrap_err();
    assert!(itself.kind() == ErrorKind::Config && itself.to_string().contains("same cluster"), "{itself}");
    let in_the_way = Restore::new(RestoreMode::Replace).select(Selection::new().rename("a/", "b/"));
    let error = in_the_way.plan_copy(&two.source, &two.target).await.unwrap_err();
    assert!(error.to_string().contains("b/00000000"), "{error}");
}

#[tokio::test]
async fn a_source_that_forgets_its_revision_ends_the_copy_with_what_it_is() {
    let two = Two::with(300).await;
    let slowly = Restore::new(RestoreMode::Refuse).keys_per_second(NonZeroU32::new(10_000).unwrap());
    let plan = slowly.plan_copy(&two.source, &two.target).await.unwrap();
    let newest = two.source.put("a/00000000", "newer").await.unwrap().header.revision;
    two.source.send(Compact::new(newest)).await.unwrap();
    let error = plan.apply().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    assert!(error.to_string().contains("reading the source"), "{error}");
    assert!(newest > Revision(1) && count(&two.target).await == 0);
    let report = slowly.plan_copy(&two.source, &two.target).await.unwrap().apply().await.unwrap();
    assert!(report.check.unwrap().equal);
}

#[tokio::test]
async fn users_who_may_read_here_and_write_there_can_copy_that_and_no_more() {
    let two = Two::with(300).await;
    two.old.enable_auth("secret").await;
    two.old.add_user("reader", "pass", &[(Permission::Read, "a/")]).await;
    two.new.enable_auth("secret").await;
    two.new.add_user("writer", "pass", &[(Permission::ReadWrite, "a/"), (Permission::Read, "b/")]).await;
    let connect = async |server: &Server, name: &str| {
        let client = Client::builder([server.endpoint()]).unwrap();
        client.credentials(Credentials::new(name, "pass")).connect().await.unwrap()
    };
    let (source, target) = (connect(&two.old, "reader").await, connect(&two.new, "writer").await);
    let a = Restore::new(RestoreMode::Refuse).select(KeyRange::prefix("a/"));
    let report = a.plan_copy(&source, &target).await.unwrap().apply().await.unwrap();
    assert!(report.written == 300 && report.check.unwrap().equal);
    let b = Restore::new(RestoreMode::Refuse).select(KeyRange::prefix("b/"));
    let error = b.plan_copy(&source, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.to_string().contains("user reader needs a role with read permission on keys from b/"),
        "{error}"
    );
    let elsewhere = a.clone().select(Selection::from(KeyRange::prefix("a/")).rename("a/", "b/"));
    let error = elsewhere.plan_copy(&source, &target).await.unwrap().apply().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    for told in ["may not write 300 of the keys, the first b/00000000", "nothing was written", "on b/"] {
        assert!(error.to_string().contains(told), "{told} is not in {error}");
    }
}

/// Keys with their values and leases.
async fn state(client: &Client) -> Vec<(Bytes, Bytes, Option<LeaseId>)> {
    let kvs: Vec<_> = client.scan(Scan::all()).try_collect().await.unwrap();
    kvs.into_iter().map(|kv| (kv.key, kv.value, kv.lease)).collect()
}

#[tokio::test]
async fn a_copy_is_undone_by_what_it_saved_whatever_its_names_and_leases() {
    for (mode, policy) in [
        (RestoreMode::Mirror, LeasePolicy::SameId),
        (RestoreMode::Replace, LeasePolicy::NewId),
        (RestoreMode::Overwrite, LeasePolicy::Drop),
    ] {
        let (two, folder) = (Two::with(300).await, tempdir().unwrap());
        let lease = two.source.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
        two.source.send(Put::new("a/leased", "copied").lease(lease)).await.unwrap();
        load(&two.target, "z/", 100, "mine").await;
        two.target.put("z/extra", "mine").await.unwrap();
        let before = state(&two.target).await;
        let names = Selection::from(KeyRange::prefix("a/")).rename("a/", "z/");
        let [undo, written] = ["undo.ark", "written.ark"].map(|name| folder.path().join(name));
        let copy = Restore::new(mode).select(names).leases(policy).save_undo(&undo).save_written(&written);
        let report = copy.plan_copy(&two.source, &two.target).await.unwrap().apply().await.unwrap();
        assert!(report.written == 301 && report.check.unwrap().equal, "{mode:?}: {report:?}");
        // Changed by others since: as it was created, updated or left by the copy.
        two.target.put("z/00000007", "newest").await.unwrap();
        two.target.put("z/00000200", "newest").await.unwrap();
        let open = async |path| ArchiveFile::open(path).await.unwrap();
        let (mut saved, mut restored) = (open(&undo).await, open(&written).await);
        let plan = Undo::new().plan(&two.target, &mut saved, &mut restored).await.unwrap();
        let undone = plan.apply().await.unwrap();
        assert_eq!((undone.deleted, undone.left, undone.differing), (200, 0, 2), "{mode:?}: {undone:?}");
        let mut expected = before;
        expected[7].1 = "newest".into();
        let extra = expected.iter().position(|(key, ..)| key == "z/extra").unwrap();
        expected.insert(extra, ("z/00000200".into(), "newest".into(), None));
        assert_eq!(state(&two.target).await, expected, "{mode:?}");
        let again = Undo::new().plan(&two.target, &mut saved, &mut restored).await.unwrap();
        assert!(again.summary().is_nothing(), "{mode:?}");
    }
}

#[tokio::test]
async fn what_a_copy_saved_is_taken_for_nothing_else() {
    let (two, folder) = (Two::with(300).await, tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    two.target.put("a/00000001", "mine").await.unwrap();
    for number in 0..2 {
        two.source.put("a/00000002", format!("{number}")).await.unwrap();
        let copy = Restore::new(RestoreMode::Mirror).save_undo(path(&format!("undo{number}.ark")));
        let copy = copy.save_written(path(&format!("written{number}.ark")));
        copy.plan_copy(&two.source, &two.target).await.unwrap().apply().await.unwrap();
    }
    Backup::new().save(&two.target, path("backup.ark")).await.unwrap();
    for (undo, restored, told) in [
        ("written0.ark", "undo0.ark", "name the other one first"),
        ("undo0.ark", "undo0.ark", "the second archive is neither"),
        ("undo0.ark", "written1.ark", "the second archive is neither"),
        ("backup.ark", "written0.ark", "is a backup"),
    ] {
        let mut archives = Vec::new();
        for name in [undo, restored] {
            archives.push(ArchiveFile::open(path(name)).await.unwrap());
        }
        let [undo, restored] = &mut archives[..] else { panic!("two archives") };
        let error = Undo::new().plan(&two.target, undo, restored).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(told), "{told}: {error}");
    }
    let mut written = ArchiveFile::open(path("written0.ark")).await.unwrap();
    let restored = Restore::new(RestoreMode::Mirror).any_cluster().plan(&two.target, &mut written).await;
    let error = restored.unwrap_err();
    assert!(error.to_string().contains("is no backup"), "{error}");
    assert_eq!(state(&two.target).await, state(&two.source).await, "nothing was written");
}
