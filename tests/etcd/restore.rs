//! Restores: what each mode writes and leaves alone, leases, and archives that are not good.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use etcd_ark::backup::{ArchiveFile, Backup, Restore, RestoreMode, RestoreReport, Selection};
use etcd_ark::{Client, ErrorKind, Get, GrantLease, KeyRange, LeaseTimeToLive, Put, RevokeLease, Watch};
use tempfile::{TempDir, tempdir};
use tokio::time::sleep;

use crate::client_of;
use crate::metrics::sum;
use crate::scan::load;
use crate::support::{Permission, Server};
use crate::watch::changes;

struct Saved {
    client: Client,
    folder: TempDir,
    server: Server,
}

impl Saved {
    /// A server with keys under `a/` and `b/`, and a backup of it.
    async fn new() -> Self {
        let server = Server::start().await;
        let client = client_of(&server).await;
        for prefix in ["a/", "b/"] {
            load(&client, prefix, 500, "saved").await;
        }
        let folder = tempdir().unwrap();
        Backup::new().save(&client, folder.path().join("saved.ark")).await.unwrap();
        Self { client, folder, server }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("saved.ark")
    }

    async fn restore(&self, restore: Restore) -> etcd_ark::Result<RestoreReport> {
        apply(&self.client, &self.path(), restore).await
    }

    async fn wipe(&self) {
        self.client.delete(KeyRange::all()).await.unwrap();
    }

    async fn count(&self, range: KeyRange) -> u64 {
        self.client.send(Get::new(range).count_only()).await.unwrap().count
    }

    /// The content root of what is there now.
    async fn content_root(&self, name: &str) -> String {
        let report = Backup::new().save(&self.client, self.folder.path().join(name)).await.unwrap();
        report.summary.content_root.to_string()
    }
}

async fn apply(client: &Client, path: &Path, restore: Restore) -> etcd_ark::Result<RestoreReport> {
    let mut archive = ArchiveFile::open(path).await?;
    restore.plan(client, &mut archive).await?.apply().await
}

#[tokio::test]
async fn a_wiped_cluster_gets_everything_back() {
    let saved = Saved::new().await;
    let before = saved.content_root("before.ark").await;
    saved.wipe().await;
    let report = saved.restore(Restore::new(RestoreMode::Refuse)).await.unwrap();
    assert_eq!((report.written, report.kept), (1000, 0));
    assert_eq!(saved.content_root("after.ark").await, before);
}

#[tokio::test]
async fn refuse_writes_nothing_where_a_key_has_another_value() {
    let saved = Saved::new().await;
    saved.wipe().await;
    saved.client.put("b/00000007", "precious").await.unwrap();
    saved.client.put("b/00000008", "saved").await.unwrap();
    saved.client.put("b/extra", "precious").await.unwrap();
    let error = saved.restore(Restore::new(RestoreMode::Refuse)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("1 keys") && error.to_string().contains("b/00000007"), "{error}");
    assert_eq!(saved.count(KeyRange::all()).await, 3);

    let beside = Restore::new(RestoreMode::Refuse).select(KeyRange::prefix("a/"));
    assert_eq!(saved.restore(beside).await.unwrap().written, 500, "a/ was empty");
    saved.client.delete("b/00000007").await.unwrap();
    let report = saved.restore(Restore::new(RestoreMode::Refuse)).await.unwrap();
    assert_eq!((report.written, report.kept), (499, 501), "what is there already is no conflict");
    assert_eq!(saved.client.get("b/extra").await.unwrap().unwrap().value, "precious");
}

#[tokio::test]
async fn missing_leaves_existing_keys_alone() {
    let saved = Saved::new().await;
    saved.client.put("a/00000000", "newer").await.unwrap();
    saved.client.delete(KeyRange::between("a/00000001", "a/00000101")).await.unwrap();
    let report = saved.restore(Restore::new(RestoreMode::Missing)).await.unwrap();
    assert_eq!((report.written, report.kept), (100, 900));
    assert_eq!(saved.client.get("a/00000000").await.unwrap().unwrap().value, "newer");
    assert_eq!(saved.count(KeyRange::all()).await, 1000);
}

#[tokio::test]
async fn replace_overwrites_and_leaves_extra_keys() {
    let saved = Saved::new().await;
    saved.client.put("a/00000000", "newer").await.unwrap();
    saved.client.put("a/extra", "extra").await.unwrap();
    let restore = Restore::new(RestoreMode::Replace).select(KeyRange::prefix("a/"));
    let report = saved.restore(restore).await.unwrap();
    assert_eq!((report.written, report.kept), (1, 499), "what is the same already is not written");
    assert_eq!(saved.client.get("a/00000000").await.unwrap().unwrap().value, "saved");
    assert_eq!(saved.client.get("a/extra").await.unwrap().unwrap().value, "extra");
}

#[tokio::test]
async fn one_key_and_one_prefix_can_be_put_back() {
    let saved = Saved::new().await;
    saved.wipe().await;
    let one = Restore::new(RestoreMode::Refuse).select(KeyRange::key("a/00000042"));
    assert_eq!(saved.restore(one).await.unwrap().written, 1);
    let prefix = Restore::new(RestoreMode::Missing).select(KeyRange::prefix("a/000000"));
    let report = saved.restore(prefix).await.unwrap();
    assert_eq!((report.written, report.kept), (99, 1));
    let nothing = Restore::new(RestoreMode::Refuse).select(KeyRange::prefix("z/"));
    assert_eq!(saved.restore(nothing).await.unwrap().written, 0);
}

/// One comparison guards a whole batch.
#[tokio::test]
async fn an_empty_range_is_filled_without_a_look_at_each_key() {
    const LOOKS: &str = "etcd_mvcc_range_total";
    let saved = Saved::new().await;
    saved.wipe().await;
    let before = sum(&saved.server, LOOKS, "").await;
    let report = saved.restore(Restore::new(RestoreMode::Refuse).unchecked()).await.unwrap();
    let looks = sum(&saved.server, LOOKS, "").await - before;
    assert_eq!(report.written, 1000);
    assert!((8..100).contains(&looks), "{looks} looks");
}

#[tokio::test]
async fn what_is_written_while_an_empty_range_is_filled_is_left_alone() {
    let saved = Saved::new().await;
    saved.wipe().await;
    let slowly = Restore::new(RestoreMode::Refuse).keys_per_second(NonZeroU32::new(150).unwrap());
    let meddling = async {
        while saved.count(KeyRange::all()).await == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        for key in ["b/00000400", "b/00000450/new"] {
            saved.client.put(key, "precious").await.unwrap();
        }
    };
    let (report, ()) = tokio::join!(saved.restore(slowly), meddling);
    let report = report.unwrap();
    assert_eq!(
        (report.written, report.left, &report.left_keys[..]),
        (999, 1, &[Bytes::from("b/00000400")][..])
    );
    assert_eq!(saved.count(KeyRange::all()).await, 1001);
    for key in ["b/00000400", "b/00000450/new"] {
        assert_eq!(saved.client.get(key).await.unwrap().unwrap().value, "precious", "{key}");
    }
}

#[tokio::test]
async fn leases_are_granted_again_and_shared_again() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.ark");
    let long = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    let short = client.send(GrantLease::new(Duration::from_secs(2))).await.unwrap().id;
    for (key, lease) in [("a", long), ("b", long), ("c", short)] {
        client.send(Put::new(key, "v").lease(lease)).await.unwrap();
    }
    Backup::new().save(&client, &path).await.unwrap();
    client.send(RevokeLease::new(long)).await.unwrap();
    client.delete(KeyRange::all()).await.unwrap();

    let report = apply(&client, &path, Restore::new(RestoreMode::Refuse)).await.unwrap();
    assert_eq!((report.written, report.leases), (3, 2));
    assert_eq!(client.get("a").await.unwrap().unwrap().lease, Some(long));
    assert_eq!(client.get("b").await.unwrap().unwrap().lease, Some(long));
    let times = client.send(LeaseTimeToLive::new(long)).await.unwrap().lease.unwrap();
    assert_eq!(times.granted, Duration::from_secs(600));

    let gone = async {
        while client.get("c").await.unwrap().is_some() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("a short lease ends after a restore too");
}

#[tokio::test]
async fn a_lease_that_is_still_there_is_used_as_it_is() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.ark");
    let lease = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    client.send(Put::new("a", "v").lease(lease)).await.unwrap();
    Backup::new().save(&client, &path).await.unwrap();
    client.delete("a").await.unwrap();
    apply(&client, &path, Restore::new(RestoreMode::Refuse)).await.unwrap();
    assert_eq!(client.get("a").await.unwrap().unwrap().lease, Some(lease));
}

#[tokio::test]
async fn the_largest_values_go_back() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.ark");
    for number in 0..5 {
        client.put(format!("large{number}"), vec![number; 1_500_000]).await.unwrap();
    }
    let before = Backup::new().save(&client, &path).await.unwrap().summary;
    for mode in [RestoreMode::Refuse, RestoreMode::Missing, RestoreMode::Replace] {
        client.delete(KeyRange::all()).await.unwrap();
        assert_eq!(apply(&client, &path, Restore::new(mode)).await.unwrap().written, 5);
    }
    let after = Backup::new().save(&client, folder.path().join("b.ark")).await.unwrap().summary;
    assert_eq!(before.content_root, after.content_root);
}

#[tokio::test]
async fn a_damaged_archive_writes_nothing() {
    let saved = Saved::new().await;
    let good = std::fs::read(saved.path()).unwrap();
    let damaged = saved.folder.path().join("damaged.ark");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    // At first nothing has changed: then no block needs to be looked into.
    for keys in [1000, 0] {
        for bytes in [&flipped[..], &good[..good.len() - 1], &good[..good.len() / 2], b"", b"not an archive"]
        {
            std::fs::write(&damaged, bytes).unwrap();
            for mode in [RestoreMode::Refuse, RestoreMode::Missing, RestoreMode::Replace] {
                let error = apply(&saved.client, &damaged, Restore::new(mode)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            }
        }
        assert_eq!(saved.count(KeyRange::all()).await, keys);
        saved.wipe().await;
    }
}

/// Nor is anything deleted or written anew that the archive and the cluster hold alike.
#[tokio::test]
async fn a_damaged_archive_overwrites_and_deletes_nothing() {
    let saved = Saved::new().await;
    saved.client.put("extra", "v").await.unwrap();
    let before = saved.client.send(Get::new("extra")).await.unwrap().header.revision;
    let mut damaged = std::fs::read(saved.path()).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(saved.path(), damaged).unwrap();
    for mode in [RestoreMode::Unchanged, RestoreMode::Mirror, RestoreMode::Overwrite] {
        let error = saved.restore(Restore::new(mode)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{mode:?}: {error}");
    }
    assert_eq!(saved.client.send(Get::new("extra")).await.unwrap().header.revision, before);
}

#[tokio::test]
async fn a_key_that_the_user_may_not_write_is_named() {
    let saved = Saved::new().await;
    saved.wipe().await;
    saved.server.enable_auth("secret").await;
    let grants = [(Permission::ReadWrite, "a/"), (Permission::Read, "b/")];
    saved.server.add_user("app", "pass", &grants).await;
    let client = Client::builder([saved.server.endpoint()]).unwrap();
    let client = client.credentials(etcd_ark::Credentials::new("app", "pass")).connect().await.unwrap();
    let allowed = Restore::new(RestoreMode::Refuse).select(KeyRange::prefix("a/"));
    assert_eq!(apply(&client, &saved.path(), allowed).await.unwrap().written, 500);
    let denied = Restore::new(RestoreMode::Refuse).select(KeyRange::prefix("b/"));
    let error = apply(&client, &saved.path(), denied).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("b/00000"), "{error}");
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_an_error_that_says_how_far_it_came() {
    let mut saved = Saved::new().await;
    load(&saved.client, "c/", 20_000, &"v".repeat(500)).await;
    let path = saved.folder.path().join("more.ark");
    Backup::new().save(&saved.client, &path).await.unwrap();
    saved.wipe().await;
    let (told, mut progress) = tokio::sync::mpsc::unbounded_channel();
    let restore = Restore::new(RestoreMode::Refuse).on_progress(move |at| {
        let _ = told.send(at);
    });
    let client = Client::builder([saved.server.endpoint()]).unwrap().connect().await.unwrap();
    let task = tokio::spawn(async move { apply(&client, &path, restore).await });
    while progress.recv().await.unwrap().phase != etcd_ark::backup::Phase::Writing {}
    saved.server.kill();
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline), "{error}");
    assert!(error.to_string().contains("of 21000 keys"), "{error}");
}

#[tokio::test]
async fn lower_limits_of_a_server_are_found() {
    let saved = Saved::new().await;
    for number in 0..6 {
        saved.client.put(format!("c/{number}"), vec![number; 20_000]).await.unwrap();
    }
    let path = saved.folder.path().join("more.ark");
    let before = Backup::new().save(&saved.client, &path).await.unwrap().summary;
    let small =
        Server::builder().flag("--max-txn-ops", "7").flag("--max-request-bytes", "30000").start().await;
    let small = client_of(&small).await;
    for mode in [RestoreMode::Missing, RestoreMode::Replace] {
        small.delete(KeyRange::all()).await.unwrap();
        let report = apply(&small, &path, Restore::new(mode).any_cluster()).await.unwrap();
        assert_eq!((report.written, report.check.unwrap().content_root), (1006, before.content_root));
    }
}

/// However the blocks of the cluster lie: with keys between them that are not the archive's, and in one part or in two.
#[tokio::test]
async fn what_is_found_at_the_end_has_the_archives_root_whatever_lies_around_it() {
    let saved = Saved::new().await;
    load(&saved.client, "c/", 6000, &"v".repeat(500)).await;
    let path = saved.folder.path().join("more.ark");
    let leased = saved.folder.path().join("leased.ark");
    let root = Backup::new().save(&saved.client, &path).await.unwrap().summary.content_root;
    let lease = saved.client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    saved.client.send(Put::new("a/00000003", "saved").lease(lease)).await.unwrap();
    Backup::new().save(&saved.client, &leased).await.unwrap();
    for extra in ["a", "c/00000017x", "c/00003000x", "d"] {
        saved.client.put(extra, "extra").await.unwrap();
    }
    saved.client.delete(KeyRange::between("c/00004000", "c/00004010")).await.unwrap();
    for between in ["0", "b/", "c/00001234x", "c/00005999x"] {
        for path in [&path, &leased] {
            let parts = Selection::new().exclude(KeyRange::key(between));
            let report = apply(&saved.client, path, Restore::new(RestoreMode::Missing).select(parts)).await;
            let check = report.unwrap().check.unwrap();
            assert!(check.equal && check.content_root == root, "{between}: {check:?}");
            assert_eq!(check.same + check.different, 7000);
        }
    }
    // What is left as it was shifts the ends of blocks.
    for extra in ["a", "c/00000017x", "c/00003000x", "d"] {
        saved.client.delete(extra).await.unwrap();
    }
    for number in (0..6000).step_by(1000) {
        saved.client.put(format!("c/{number:08}"), vec![b'w'; 100_000]).await.unwrap();
    }
    let report = apply(&saved.client, &path, Restore::new(RestoreMode::Missing)).await.unwrap();
    let check = report.check.unwrap();
    assert!(
        !check.equal && check.content_root.to_string() == saved.content_root("now.ark").await,
        "{check:?}"
    );
}

#[tokio::test]
async fn a_key_too_large_for_the_server_is_named_with_what_to_do() {
    let saved = Saved::new().await;
    saved.client.put("c/large", vec![7; 100_000]).await.unwrap();
    let path = saved.folder.path().join("more.ark");
    Backup::new().save(&saved.client, &path).await.unwrap();
    let small = Server::builder().flag("--max-request-bytes", "30000").start().await;
    let small = client_of(&small).await;
    let error = apply(&small, &path, Restore::new(RestoreMode::Refuse).any_cluster()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    for told in ["key c/large of 100007 bytes", "--max-request-bytes", "of 1001 keys"] {
        assert!(error.to_string().contains(told), "{told} is not in {error}");
    }
}

#[tokio::test]
async fn watchers_see_a_restore_as_writes_that_go_forward() {
    let saved = Saved::new().await;
    saved.client.put("a/00000000", "newer").await.unwrap();
    let deleted = saved.client.delete(KeyRange::key("a/00000001")).await.unwrap().header.revision;
    let mut watch = saved.client.watch(Watch::new(KeyRange::all()).from(deleted.next()));
    let report = saved.restore(Restore::new(RestoreMode::Replace)).await.unwrap();
    assert!(report.before == deleted && report.revision > deleted, "{report:?}");
    let (mut seen, mut last) = (Vec::new(), deleted);
    while seen.len() < 2 {
        let events = changes(&mut watch).await;
        assert!(events.revision > last, "revisions go forward");
        last = events.revision;
        seen.extend(events.events);
    }
    let restored = saved.client.get("a/00000001").await.unwrap().unwrap();
    assert!(restored.create_revision > deleted && restored.version == 1);
}
