//! Snapshots of a member's database.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::ark::{Place, run};
use crate::support::{Fault, Proxy, Way, binaries};

/// What etcd's own tool says of the file.
fn status(place: &Place, path: &Path) -> Value {
    let folder = binaries(place.server.version());
    let tool =
        ["etcdutl", "etcdctl"].map(|name| folder.join(name)).into_iter().find(|tool| tool.exists()).unwrap();
    let output = Command::new(tool)
        .env("ETCDCTL_API", "3")
        .args(["snapshot", "status", "-w", "json"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn etcds_own_tool_knows_it() {
    let place = Place::holding("a/", 1000, 100).await;
    let saved = place.json("snapshot save s.db").await;
    assert_eq!(saved["file_bytes"], place.path("s.db").metadata().unwrap().len());
    assert_eq!(saved["endpoint"], place.server.endpoint());
    assert_eq!(saved["server_version"], place.server.version());
    let backup = place.json("backup -o saved.ark").await;
    assert_eq!((&saved["cluster_id"], &saved["member_id"]), (&backup["cluster_id"], &backup["member_id"]));

    let status = status(&place, &place.path("s.db"));
    assert_eq!(status["revision"], backup["revision"]);
    assert!(status["totalKey"].as_u64().unwrap() >= 1000, "{status}");
}

#[tokio::test]
async fn a_compressed_one_holds_the_same() {
    let place = Place::holding("a/", 1000, 100).await;
    let saved = place.json("snapshot save s.db.zst --compress").await;
    let file = std::fs::read(place.path("s.db.zst")).unwrap();
    assert_eq!(saved["file_bytes"], file.len());
    let database = zstd::decode_all(&file[..]).unwrap();
    assert_eq!(saved["database_bytes"], database.len());
    assert!(file.len() < database.len(), "{saved}");
    place.write("s.db", database);
    status(&place, &place.path("s.db"));
}

#[tokio::test]
async fn it_goes_through_a_pipe_too() {
    let place = Place::holding("a/", 1000, 100).await;
    let piped = place.run("snapshot save - -w json").await.succeeded();
    let saved: Value = serde_json::from_str(&piped.stderr).unwrap();
    assert_eq!(saved["file_bytes"], piped.stdout.len());
    place.write("s.db", &piped.stdout);
    status(&place, &place.path("s.db"));
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_leaves_no_file() {
    let mut place = Place::holding("a/", 10_000, 1000).await;
    let proxy = Proxy::stalling(place.server.port(), Way::Answer, 2 << 20).await;
    let mut command = place.ark("snapshot save s.db");
    let running = command.env("ETCDCTL_ENDPOINTS", proxy.endpoint()).spawn().unwrap();
    proxy.stalled().await;
    place.server.kill();
    proxy.set(Fault::None);
    let outcome = crate::ark::finish(running).await;
    assert!([Some(3), Some(6)].contains(&outcome.code), "{outcome:?}");
    assert_eq!(place.files(), [""; 0]);
}

#[tokio::test]
async fn of_several_endpoints_it_is_the_first() {
    let place = Place::new().await;
    let mut command = place.ark("snapshot save s.db -w json");
    let endpoints = format!("{},127.0.0.1:1", place.server.endpoint());
    let saved = run(command.env("ETCDCTL_ENDPOINTS", endpoints)).await.succeeded().json();
    assert_eq!(saved["endpoint"], place.server.endpoint());
}
