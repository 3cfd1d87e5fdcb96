//! Backups: what they hold, and that a failed one never looks like a good one.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use etcd_ark::archive::{AuthState, Header};
use etcd_ark::backup::{ArchiveFile, Backup, BackupReport, Progress, verify};
use etcd_ark::{Client, Compact, Credentials, ErrorKind, GrantLease, KeyRange, KeyValue, Put, Revision};
use tempfile::{TempDir, tempdir};
use tokio::fs::File;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::scan::load;
use crate::support::{Permission, Server};
use crate::{client_of, refusal};

/// All records of an archive, in order.
pub(crate) async fn records(path: &Path) -> Vec<KeyValue> {
    records_in(path, KeyRange::all()).await
}

async fn records_in(path: &Path, range: KeyRange) -> Vec<KeyValue> {
    let mut archive = ArchiveFile::open(path).await.unwrap();
    let mut reader = archive.records(range);
    let mut records = Vec::new();
    while let Some(kvs) = reader.next_block().await.unwrap() {
        records.extend(kvs);
    }
    records
}

async fn save(client: &Client, folder: &TempDir, name: &str) -> BackupReport {
    Backup::new().save(client, folder.path().join(name)).await.unwrap()
}

fn entries(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path()).unwrap().count()
}

#[tokio::test]
async fn an_archive_holds_what_the_cluster_held() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    load(&client, "k", 3000, "value").await;
    client.put("k00000007", "again").await.unwrap();
    let report = save(&client, &folder, "a.ark").await;

    let kvs = records(&folder.path().join("a.ark")).await;
    let live = client.send(etcd_ark::Get::new(KeyRange::all())).await.unwrap();
    assert_eq!(kvs, live.kvs);
    assert_eq!((report.summary.records, report.header.revision), (3000, live.header.revision));
    let Header { cluster_id, member_id, server_version, .. } = report.header;
    assert_eq!((cluster_id, member_id), (live.header.cluster_id, live.header.member_id));
    assert_eq!(server_version, server.version());
}

#[tokio::test]
async fn difficult_keys_and_values_come_through() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let keys: [&[u8]; 7] = [b"\0", b"\0\0", b"a\nb", b"a\0b", b"\xff", b"\xff\xff\xff", "ключ".as_bytes()];
    for key in keys {
        client.put(key, "").await.unwrap();
    }
    client.put("large", vec![7; 1_500_000]).await.unwrap();
    save(&client, &folder, "a.ark").await;

    let path = folder.path().join("a.ark");
    let live = client.send(etcd_ark::Get::new(KeyRange::all())).await.unwrap();
    assert_eq!(records(&path).await, live.kvs);
    let mut archive = ArchiveFile::open(&path).await.unwrap();
    for kv in live.kvs {
        assert_eq!(archive.get(kv.key.clone()).await.unwrap(), Some(kv));
    }
    assert_eq!(archive.get("absent").await.unwrap(), None);
}

#[tokio::test]
async fn an_empty_keyspace_is_a_good_backup() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let report = save(&client, &folder, "a.ark").await;
    assert_eq!((report.summary.records, report.header.revision), (0, Revision(1)));
    let path = folder.path().join("a.ark");
    assert!(verify(File::open(&path).await.unwrap()).await.unwrap().is_good());
    assert!(records(&path).await.is_empty());
}

#[tokio::test]
async fn only_the_range_that_was_asked_for_is_saved() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    for prefix in ["a/", "b/", "c/"] {
        load(&client, prefix, 100, "v").await;
    }
    let path = folder.path().join("b.ark");
    let report = Backup::new().range(KeyRange::prefix("b/")).save(&client, &path).await.unwrap();
    assert_eq!((report.summary.records, report.header.range), (100, KeyRange::prefix("b/")));
    let some = records_in(&path, KeyRange::between("b/00000010", "b/00000020")).await;
    assert_eq!(some.len(), 10);
    assert!(records_in(&path, KeyRange::prefix("a/")).await.is_empty());
}

#[tokio::test]
async fn roots_tell_whether_two_archives_hold_the_same() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    load(&client, "k", 2000, "value").await;
    let first = save(&client, &folder, "1.ark").await.summary;
    let again = save(&client, &folder, "2.ark").await.summary;
    assert_eq!((first.state_root, first.content_root), (again.state_root, again.content_root));

    client.put("k00000001", "value").await.unwrap();
    let rewritten = save(&client, &folder, "3.ark").await.summary;
    assert_eq!(first.content_root, rewritten.content_root, "the same keys and values");
    assert_ne!(first.state_root, rewritten.state_root, "another revision and version");
    client.put("k00000001", "other").await.unwrap();
    let changed = save(&client, &folder, "4.ark").await.summary;
    assert_ne!(first.content_root, changed.content_root);
}

#[tokio::test]
async fn leases_of_the_keys_are_recorded() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let lease = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    let unused = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    for key in ["a", "b"] {
        client.send(Put::new(key, "v").lease(lease)).await.unwrap();
    }
    let report = save(&client, &folder, "a.ark").await;
    assert_eq!(report.leases, 1, "{unused} has no keys");
    let verified = verify(File::open(folder.path().join("a.ark")).await.unwrap()).await.unwrap();
    let [recorded] = verified.leases[..] else { panic!("{:?}", verified.leases) };
    assert_eq!((recorded.id, recorded.granted_ttl), (lease, Duration::from_secs(600)));
    assert!(recorded.remaining_ttl > Duration::from_secs(500));
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_and_nothing_is_left_behind() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    client.put("k", "v").await.unwrap();
    save(&client, &folder, "a.ark").await;

    let exists = Backup::new().save(&client, folder.path().join("a.ark")).await.unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::AlreadyExists, "{exists}");
    let missing = Backup::new().save(&client, folder.path().join("no/b.ark")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io, "{missing}");
    let nothing = Backup::new().range(KeyRange::between("b", "a"));
    let empty = nothing.save(&client, folder.path().join("c.ark")).await.unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::Config, "{empty}");
    assert_eq!(entries(&folder), 1);
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    client.put("k", "v").await.unwrap();
    let mut full = File::options().write(true).open("/dev/full").await.unwrap();
    let error = Backup::new().write_to(&client, &mut full).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("No space left"), "{cause}");
}

#[tokio::test]
async fn a_member_that_dies_or_a_caller_who_leaves_leaves_no_file() {
    let mut server = Server::start().await;
    let client = Client::builder([server.endpoint()]).unwrap().request_timeout(Duration::from_secs(2));
    let client = client.connect().await.unwrap();
    let folder = tempdir().unwrap();
    load(&client, "k", 5000, &"v".repeat(2000)).await;

    let backup = Backup::new();
    let dropped = backup.save(&client, folder.path().join("dropped.ark"));
    assert!(tokio::time::timeout(Duration::from_millis(20), dropped).await.is_err(), "it was too quick");
    assert_eq!(entries(&folder), 0);

    server.kill();
    let error = refusal(async || Backup::new().save(&client, folder.path().join("dead.ark")).await).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(entries(&folder), 0);
}

/// Changes a key and compacts the history up to there, before this returns.
fn compact_now(client: &Client) {
    block_in_place(|| {
        Handle::current().block_on(async {
            let newest = client.put("another", "change").await.unwrap().header.revision;
            client.send(Compact::new(newest)).await.unwrap();
        });
    });
}

/// A backup during which the history is compacted after the first page, in each of the first `times` attempts.
async fn compacted(times: u32) -> (Server, Client, Backup) {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k", 20_000, &"v".repeat(2000)).await;
    let (other, attempts) = (client.clone(), AtomicU32::new(0));
    let backup = Backup::new().on_progress(move |progress: Progress| {
        let attempt = progress.restarts + 1;
        if progress.keys > 0 && attempt <= times && attempts.fetch_max(attempt, Relaxed) < attempt {
            compact_now(&other);
        }
    });
    (server, client, backup)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_in_the_middle_begins_the_backup_anew() {
    let (_server, client, backup) = compacted(2).await;
    let folder = tempdir().unwrap();
    let before = client.get("k00000000").await.unwrap().unwrap().mod_revision;
    let report = backup.save(&client, folder.path().join("a.ark")).await.unwrap();
    assert_eq!((report.restarts, report.summary.records), (2, 20_001));
    assert!(report.header.revision > before);
    let path = folder.path().join("a.ark");
    assert!(verify(File::open(&path).await.unwrap()).await.unwrap().is_good());
    let again = Backup::new().save(&client, folder.path().join("b.ark")).await.unwrap();
    assert_eq!((again.restarts, again.summary.state_root), (0, report.summary.state_root));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_compacted_time_after_time_gives_up_and_leaves_no_file() {
    let (_server, client, backup) = compacted(u32::MAX).await;
    let folder = tempdir().unwrap();
    let error = backup.clone().restarts(1).save(&client, folder.path().join("a.ark")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    assert!(error.to_string().contains("in 2 attempts"), "{error}");
    assert_eq!(entries(&folder), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_into_a_pipe_is_not_begun_anew() {
    let (_server, client, backup) = compacted(u32::MAX).await;
    let mut written = Vec::new();
    let error = backup.write_to(&client, &mut written).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    assert!(error.to_string().contains("save to a file"), "{error}");
    assert!(!verify(&written[..]).await.unwrap().is_good());
}

#[tokio::test]
async fn users_roles_members_and_options_are_recorded() {
    let server = Server::start().await;
    let folder = tempdir().unwrap();
    server.enable_auth("secret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "a/"), (Permission::Read, "b/")]).await;
    let root = Client::builder([server.endpoint()]).unwrap().credentials(Credentials::new("root", "secret"));
    let report = save(&root.connect().await.unwrap(), &folder, "a.ark").await;
    let mut archive = ArchiveFile::open(folder.path().join("a.ark")).await.unwrap();
    let (auth, members) = (archive.auth().await.unwrap().unwrap(), archive.members().await.unwrap().unwrap());
    assert_eq!((&auth, &members), (&report.auth, &report.members));
    // 3.4 does not tell.
    let on = if server.version().starts_with("3.4") { AuthState::Unknown } else { AuthState::On };
    assert_eq!((auth.state, &*auth.missing), (on, ""));
    assert_eq!(auth.users.iter().map(|user| &*user.name).collect::<Vec<_>>(), ["app", "root"]);
    let [role] = &auth.users[0].roles[..] else { panic!("{auth:?}") };
    let role = auth.roles.iter().find(|known| known.name == *role).unwrap();
    let mut permissions: Vec<_> =
        role.permissions.iter().map(|allowed| (allowed.range.clone(), allowed.read, allowed.write)).collect();
    permissions.sort_by_key(|(_, _, write)| !write);
    let expected = [(KeyRange::prefix("a/"), true, true), (KeyRange::prefix("b/"), true, false)];
    assert_eq!(permissions, expected);
    let [member] = &members.members[..] else { panic!("{members:?}") };
    assert_eq!((member.id, &*member.server_version), (report.header.member_id, server.version()));
    assert_eq!((&members.missing, members.alarms.len(), member.is_learner), (&String::new(), 0, false));
    assert!(member.client_urls.iter().any(|url| *url == server.endpoint()), "{member:?}");
    assert_eq!(archive.options().await.unwrap().unwrap().options[0].value, "zstd 1");
    // No password, nor the hash of one.
    let bytes = std::fs::read(folder.path().join("a.ark")).unwrap();
    for secret in [&b"secret"[..], b"pass", b"$2a$"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[tokio::test]
async fn who_may_not_read_users_gets_a_backup_that_says_so() {
    let server = Server::start().await;
    let folder = tempdir().unwrap();
    server.enable_auth("secret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "a/")]).await;
    let app = Client::builder([server.endpoint()]).unwrap().credentials(Credentials::new("app", "pass"));
    let app = app.connect().await.unwrap();
    app.put("a/1", "v").await.unwrap();
    let backup = Backup::new().range(KeyRange::prefix("a/"));
    let report = backup.save(&app, folder.path().join("a.ark")).await.unwrap();
    assert_eq!((report.summary.records, report.auth.users.len()), (1, 0));
    assert!(report.auth.missing.contains("permission denied"), "{:?}", report.auth);
    assert!(verify(File::open(folder.path().join("a.ark")).await.unwrap()).await.unwrap().is_good());
}
