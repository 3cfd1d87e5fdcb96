//! Files that are there, that are not, and pipes whose other end has gone.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::ark::{Place, finish, run};

#[tokio::test]
async fn an_existing_file_is_never_overwritten() {
    let place = Place::new().await;
    place.write("precious", "precious");
    std::os::unix::fs::symlink("nowhere", place.path("link")).unwrap();
    for name in ["precious", "link", "."] {
        place.run(&format!("backup -o {name}")).await.failed(8, "exists");
        place.run(&format!("snapshot save {name}")).await.failed(8, "exists");
    }
    assert_eq!(std::fs::read(place.path("precious")).unwrap(), b"precious");
    assert_eq!(place.files(), ["link", "precious"]);
}

#[tokio::test]
async fn only_the_owner_can_read_what_was_saved() {
    let place = Place::new().await;
    place.run("backup -o saved.ark").await.succeeded();
    place.run("snapshot save s.db").await.succeeded();
    for name in ["saved.ark", "s.db"] {
        assert_eq!(place.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_missing_folder_or_file_is_named() {
    let place = Place::new().await;
    place.run("backup -o folder/saved.ark").await.failed(1, "folder/saved.ark");
    for line in ["info", "verify", "ls", "restore --yes"] {
        place.run(&format!("{line} missing.ark")).await.failed(1, "missing.ark");
    }
    place.run("get missing.ark k").await.failed(1, "missing.ark");
    place.run("backup -o file/saved.ark").await.failed(1, "file/saved.ark");
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let place = Place::holding("a/", 500, 1000).await;
    place.run("backup -o saved.ark").await.succeeded();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for line in [
        "backup -o -",
        "snapshot save -",
        "ls saved.ark",
        "get saved.ark a/00000001",
        "info saved.ark",
        "backup -o b.ark",
    ] {
        run(place.ark(line).stdout(full())).await.failed(1, "No space left");
    }
    assert!(place.path("b.ark").exists(), "the archive was complete; its report was not");
}

#[tokio::test]
async fn a_reader_that_has_had_enough_is_no_error() {
    let place = Place::holding("a/", 20_000, 10).await;
    place.run("backup -o saved.ark").await.succeeded();
    for line in ["ls saved.ark", "ls saved.ark -w json"] {
        let mut child = place.ark(line).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).await.unwrap();
        drop(reader);
        let outcome = finish(child).await;
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    }
}

#[tokio::test]
async fn an_archive_that_nobody_reads_is_an_error() {
    let place = Place::holding("a/", 2000, 1000).await;
    for line in ["backup -o -", "snapshot save -"] {
        let mut child = place.ark(line).spawn().unwrap();
        drop(child.stdout.take());
        finish(child).await.failed(1, "Broken pipe");
    }
}

#[tokio::test]
async fn nobody_to_hear_an_error_is_no_reason_to_panic() {
    let place = Place::new().await;
    let mut child = place.ark("info missing.ark").stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(finish(child).await.code, Some(1));
}

#[tokio::test]
async fn an_archive_comes_through_a_pipe() {
    let place = Place::holding("a/", 1000, 10).await;
    let saved = place.json("backup -o saved.ark").await;
    let with = async |line: &str| place.run_with(line, "saved.ark").await.succeeded();
    assert_eq!(with("info - -w json").await.json()["archive_root"], saved["archive_root"]);
    assert_eq!(with("ls -").await.lines().len(), 1000);
    assert_eq!(with("get - a/00000007").await.stdout.len(), 10);
    assert_eq!(with("export - --format shield").await.lines().len(), 1000);
    assert_eq!(with("plan - -w json").await.json()["unchanged"][0]["keys"], 1000);
    with("diff - cluster").await;
    place.run("info -").await.failed(6, "archive");

    place.server.etcdctl(&["put", "a/00000007", "other"]).await;
    let restored = with("restore - --yes --mode replace -w json").await.json();
    assert_eq!(restored["written"], 1);
    let undo = restored["undo"].as_str().unwrap();
    assert!(undo.starts_with("restore.undo-") && place.path(undo).exists(), "{undo}");
}
