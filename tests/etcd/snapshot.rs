//! Snapshots: the member's own database, verified while streaming.

use std::process::Command;

use etcd_ark::{Client, ErrorKind};
use futures_util::TryStreamExt;

use crate::client_of;
use crate::scan::load;
use crate::support::{Server, binaries};

async fn snapshot(client: &Client) -> etcd_ark::Result<Vec<u8>> {
    let stream = client.members()[0].snapshot().await?;
    stream.try_fold(Vec::new(), |file, chunk| async move { Ok([&file[..], &chunk[..]].concat()) }).await
}

#[tokio::test]
async fn etcds_own_tool_restores_a_snapshot() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k", 1000, "v").await;
    let file = snapshot(&client).await.unwrap();
    assert_eq!(file.len() % 512, 32, "a database and its digest");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.db");
    std::fs::write(&path, &file).unwrap();
    // Restoring moved out of etcdctl; 3.4 has no other.
    let tools = binaries(server.version());
    let tool = ["etcdutl", "etcdctl"].map(|name| tools.join(name)).into_iter().find(|tool| tool.exists());
    let restore = Command::new(tool.unwrap())
        .env("ETCDCTL_API", "3")
        .args(["snapshot", "restore"])
        .arg(&path)
        .arg("--data-dir")
        .arg(folder.path().join("restored"))
        .output()
        .unwrap();
    assert!(restore.status.success(), "{restore:?}");
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_leaves_no_good_snapshot() {
    let mut server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k", 20_000, &"v".repeat(1000)).await;
    let mut stream = client.members()[0].snapshot().await.unwrap();
    stream.try_next().await.unwrap().unwrap();
    server.kill();
    let error = loop {
        match stream.try_next().await {
            Ok(chunk) => assert!(chunk.is_some(), "the snapshot ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Corrupt), "{error}");
}
