//! The main job on every version of etcd that this machine can get.

use std::io::Write;
use std::time::Duration;

use etcd_ark::backup::{ArchiveFile, Backup, Restore, RestoreMode, verify};
use etcd_ark::{GrantLease, KeyRange, Put};
use futures_util::TryStreamExt;
use tempfile::tempdir;
use tokio::fs::File;

use crate::client_of;
use crate::scan::load;
use crate::support::{Server, all_versions, default_version, try_binaries};

/// Saves, verifies, wipes, restores and compares; and takes a snapshot.
async fn main_job(version: &str) {
    let server = Server::builder().version(version).start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    let path = folder.path().join("before.ark");
    load(&client, "/registry/pods/", 3000, &"spec".repeat(50)).await;
    let lease = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
    client.send(Put::new("/registry/events/one", "event").lease(lease)).await.unwrap();

    let before = Backup::new().save(&client, &path).await.unwrap();
    assert_eq!((before.header.server_version.as_str(), before.summary.records), (version, 3001));
    assert!(verify(File::open(&path).await.unwrap()).await.unwrap().is_good());
    client.delete(KeyRange::all()).await.unwrap();
    let mut archive = ArchiveFile::open(&path).await.unwrap();
    let restored =
        Restore::new(RestoreMode::Refuse).plan(&client, &mut archive).await.unwrap().apply().await.unwrap();
    assert_eq!((restored.written, restored.leases), (3001, 1));
    let after = Backup::new().save(&client, folder.path().join("after.ark")).await.unwrap();
    assert_eq!(before.summary.content_root, after.summary.content_root);

    let chunks: Vec<_> = client.members()[0].snapshot().await.unwrap().try_collect().await.unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.len()).sum::<usize>() % 512, 32, "a database and its digest");
}

/// To the terminal, even from a test that passes.
fn say(what: &str) {
    let mut terminal = std::io::stderr();
    writeln!(terminal, "{what}").unwrap();
}

#[tokio::test]
async fn the_main_job_on_every_version() {
    let mut ran = Vec::new();
    let mut missing = Vec::new();
    for version in all_versions() {
        match try_binaries(&version) {
            Ok(_) => {
                main_job(&version).await;
                ran.push(version);
            }
            Err(why) => missing.push(format!("etcd {version} could not be got: {why}")),
        }
    }
    say(&format!("the main job ran on etcd {}", ran.join(", ")));
    missing.iter().for_each(|why| say(why));
    assert!(ran.contains(&default_version()), "not even the default version ran");
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "CI runs every version");
}

#[tokio::test]
async fn range_stream_answers_on_3_7() {
    if let Err(why) = try_binaries("3.7.3") {
        assert!(std::env::var_os("CI").is_none(), "CI runs every version: {why}");
        say(&format!("not shown: {why}"));
        return;
    }
    let server = Server::builder().version("3.7.3").start().await;
    server.etcdctl(&["put", "key", "value"]).await;
    assert_eq!(server.etcdctl(&["get", "key", "--stream"]).await, "key\nvalue\n");
}
