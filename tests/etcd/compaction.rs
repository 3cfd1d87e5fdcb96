//! Backups via snapshots, of clusters whose history is gone before it can be read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use etcd_ark::backup::{Backup, BackupReport, Phase, verify};
use etcd_ark::{Client, Compact, Credentials, ErrorKind, GrantLease, KeyRange, KeyValue, Put, Revision, Txn};
use tempfile::{TempDir, tempdir};
use tokio::fs::File;
use tokio::time::sleep;

use crate::backup::records;
use crate::client_of;
use crate::scan::load;
use crate::support::{Permission, Random, Server, all_versions, try_binaries};

async fn via_snapshot(client: &Client, folder: &TempDir, name: &str) -> BackupReport {
    Backup::new().via_snapshot().save(client, folder.path().join(name)).await.unwrap()
}

/// Both ways must make the same of the same state.
async fn assert_same_as_a_scan(client: &Client, range: KeyRange) -> u64 {
    let folder = tempdir().unwrap();
    let backup = Backup::new().range(range);
    let scanned = backup.save(client, folder.path().join("scan.ark")).await.unwrap();
    let path = folder.path().join("snapshot.ark");
    let snapshot = backup.via_snapshot().save(client, &path).await.unwrap();
    assert_eq!(snapshot.header.revision, scanned.header.revision);
    assert_eq!(snapshot.header.cluster_id, scanned.header.cluster_id);
    assert_eq!(snapshot.summary.state_root, scanned.summary.state_root);
    assert_eq!((snapshot.leases, &snapshot.auth), (scanned.leases, &scanned.auth));
    assert!(verify(File::open(&path).await.unwrap()).await.unwrap().is_good());
    snapshot.summary.records
}

/// Keys of all kinds, with a past: overwritten, deleted, created again, with leases, large, in one revision.
async fn write_history(client: &Client) {
    load(client, "k", 2000, "old").await;
    load(client, "k", 1500, &"new".repeat(100)).await;
    client.delete(KeyRange::between("k00000100", "k00000200")).await.unwrap();
    load(client, "k0000015", 10, "again").await;
    let lease = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    client.send(Put::new("leased", "v").lease(lease)).await.unwrap();
    for key in [&b"\0"[..], b"\0\0", b"\xff", b"\xff\xff", b"a\nb"] {
        client.put(key, "").await.unwrap();
    }
    client.put("large", vec![7; 1_400_000]).await.unwrap();
    client.send(Txn::new().then(Put::new("one", "1")).then(Put::new("two", "2"))).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_gives_the_same_archive_as_a_scan_on_every_version() {
    for version in all_versions() {
        if let Err(why) = try_binaries(&version) {
            eprintln!("etcd {version} could not be got: {why}");
            continue;
        }
        let server = Server::builder().version(&version).start().await;
        let client = client_of(&server).await;
        assert_eq!(assert_same_as_a_scan(&client, KeyRange::all()).await, 0, "{version}");
        client.put("single", "small enough to stand where its bucket is named").await.unwrap();
        assert_eq!(assert_same_as_a_scan(&client, KeyRange::all()).await, 1, "{version}");
        write_history(&client).await;
        assert_eq!(assert_same_as_a_scan(&client, KeyRange::all()).await, 1920, "{version}");
        assert_eq!(assert_same_as_a_scan(&client, KeyRange::prefix("k000001")).await, 10, "{version}");
        // Names within a namespace.
        let inner = client.namespace("k0000");
        assert_eq!(assert_same_as_a_scan(&inner, KeyRange::prefix("1")).await, 1000, "{version}");

        let deleted = client.delete(KeyRange::prefix("k00001")).await.unwrap().header.revision;
        client.send(Compact::new(deleted).physical()).await.unwrap();
        assert_eq!(assert_same_as_a_scan(&client, KeyRange::all()).await, 920, "{version}");
    }
}

#[tokio::test]
async fn more_than_fits_into_memory_at_once_is_sorted_all_the_same() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    // A hundred MB of history in several runs, each with rows of the same keys.
    for round in 0..5 {
        load(&client, "k", 2000, &format!("{round}").repeat(10_000)).await;
        client.delete(KeyRange::prefix(format!("k0000{}", round % 2))).await.unwrap();
    }
    load(&client, "k00001", 100, "last").await;
    assert_eq!(assert_same_as_a_scan(&client, KeyRange::all()).await, 1100);
}

#[tokio::test]
async fn a_member_that_lags_behind_is_not_backed_up() {
    let cluster = Server::builder().peer_proxies().start_cluster(3).await;
    let lagging = (cluster.leader().await + 1) % 3;
    cluster.cut_off(lagging).await;
    let others = (0..3).filter(|member| *member != lagging).map(|member| cluster.member(member).endpoint());
    let rest: Vec<_> = others.collect();
    Client::connect(&rest).await.unwrap().put("k", "v").await.unwrap();
    // The one that is cut off comes first in the list, and is passed over.
    let endpoints = [vec![cluster.member(lagging).endpoint()], rest].concat();
    let client = Client::connect(&endpoints).await.unwrap();
    let folder = tempdir().unwrap();
    assert_eq!(via_snapshot(&client, &folder, "a.ark").await.summary.records, 1);
    cluster.heal();
}

#[tokio::test]
async fn only_root_may_read_a_whole_database() {
    let server = Server::start().await;
    server.enable_auth("secret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "a/")]).await;
    let app = Client::builder([server.endpoint()]).unwrap().credentials(Credentials::new("app", "pass"));
    let app = app.connect().await.unwrap();
    let folder = tempdir().unwrap();
    let backup = Backup::new().range(KeyRange::prefix("a/")).via_snapshot();
    let error = backup.save(&app, folder.path().join("a.ark")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What every revision did: keys that were put, with their value, or deleted.
type Log = BTreeMap<Revision, Vec<(String, Option<String>)>>;

/// Writes at random until told to stop.
async fn write_at_random(client: Client, stop: Arc<AtomicBool>, newest: Arc<AtomicU64>) -> Log {
    let (mut random, mut log) = (Random::new(), Log::new());
    while !stop.load(Relaxed) {
        let key = format!("k{:04}", random.below(3000));
        let (revision, change) = if random.percent(20) {
            let done = client.delete(key.clone()).await.unwrap();
            (done.header.revision, (done.deleted > 0).then_some((key, None)))
        } else {
            let value = format!("{}", random.below(1_000_000)).repeat(200);
            let done = client.put(key.clone(), value.clone()).await.unwrap();
            (done.header.revision, Some((key, Some(value))))
        };
        newest.store(revision.0.cast_unsigned(), Relaxed);
        log.entry(revision).or_default().extend(change);
    }
    log
}

/// Until it is aborted; counts how often.
async fn compact_all_the_time(client: Client, newest: Arc<AtomicU64>, compactions: Arc<AtomicU32>) {
    loop {
        sleep(Duration::from_millis(100)).await;
        let revision = Revision(newest.load(Relaxed).cast_signed());
        let done = client.send(Compact::new(revision)).await.is_ok();
        compactions.fetch_add(done.into(), Relaxed);
    }
}

/// The state that the log leads to.
fn state_at(log: &Log, revision: Revision) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for (key, value) in log.range(..=revision).flat_map(|(_, changes)| changes) {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
    state
}

fn texts(kvs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    kvs.iter().map(|kv| (text(&kv.key), text(&kv.value))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_all_is_compacted_ten_times_a_second_a_backup_is_one_state_of_the_cluster() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let (stop, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
    let writer = tokio::spawn(write_at_random(client.clone(), Arc::clone(&stop), Arc::clone(&newest)));
    let compactions = Arc::new(AtomicU32::new(0));
    let compactor = tokio::spawn(compact_all_the_time(client.clone(), newest, Arc::clone(&compactions)));
    let folder = tempdir().unwrap();
    let mut saved = Vec::new();
    // More on a machine that is too slow for so many compactions.
    for number in 0..80 {
        if number >= 8 && compactions.load(Relaxed) > 20 {
            break;
        }
        sleep(Duration::from_millis(500)).await;
        let name = format!("{number}.ark");
        let report = via_snapshot(&client, &folder, &name).await;
        saved.push((report.header.revision, texts(records(&folder.path().join(name)).await)));
    }
    stop.store(true, Relaxed);
    compactor.abort();
    let (log, compactions) = (writer.await.unwrap(), compactions.load(Relaxed));
    assert!(compactions > 20, "only {compactions} compactions");
    for (revision, held) in saved {
        assert!(!held.is_empty());
        assert_eq!(held, state_at(&log, revision), "at {revision}");
    }
}

#[tokio::test]
async fn progress_tells_of_fetching_first() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k", 1000, "v").await;
    let (phases, told) = std::sync::mpsc::channel();
    let backup = Backup::new().via_snapshot().on_progress(move |progress| phases.send(progress).unwrap());
    let folder = tempdir().unwrap();
    backup.save(&client, folder.path().join("a.ark")).await.unwrap();
    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told[0].phase, Phase::Fetching);
    let last = told.last().unwrap();
    assert_eq!((last.phase, last.keys), (Phase::Reading, 1000));
}
