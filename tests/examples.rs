//! The small examples, run as their readers run them, on real etcd servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use support::Server;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// Far more than any of them takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Cargo builds examples along with tests, beside their folder.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(example);
    assert!(program.exists(), "{} is missing: cargo build --examples", program.display());
    program
}

/// What the example prints.
async fn printed(example: &str, server: &Server) -> String {
    let run = Command::new(program(example)).arg(server.endpoint()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, run).await.expect("the example ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Run twice: an example leaves nothing behind that is in its own way.
async fn printed_twice(example: &str) -> String {
    let server = Server::start().await;
    printed(example, &server).await;
    let second = printed(example, &server).await;
    assert_eq!(server.etcdctl(&["get", "", "--prefix", "--keys-only"]).await, "", "keys are left");
    second
}

#[tokio::test]
async fn kv() {
    let expected = "the banana is green\nit was green\nthe last of 3 to change is the banana\n\
                    the melon is there: false\neaten: apple, banana, cherry\n";
    assert_eq!(printed_twice("kv").await, expected);
}

#[tokio::test]
async fn txn() {
    let expected =
        "ann is the owner: true\nbob is the owner: false\nthe counter stands at 10\n2 keys deleted\n";
    assert_eq!(printed_twice("txn").await, expected);
}

#[tokio::test]
async fn admin() {
    let output = printed_twice("admin").await;
    let wanted = [
        "member ",
        "0 alarms",
        "bytes in use",
        "example-reading permits Read of keys from /etcd-ark-example/ to /etcd-ark-example0",
    ];
    for line in wanted {
        assert!(output.contains(line), "{line:?} is missing from:\n{output}");
    }
}

/// Starts the example that watches, and has its first lines read.
fn watching(server: &Server, file: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(program("watch_resume"));
    command.arg("app/").arg(file).arg(server.endpoint()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap().expect("the example goes on")
}

/// Waits until the file holds the revision.
async fn stored(file: &Path, revision: &str) {
    let stored = async {
        while std::fs::read_to_string(file).unwrap_or_default().trim() != revision {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, stored).await.unwrap_or_else(|_| panic!("{revision} is not stored"));
}

#[tokio::test]
async fn watch_resume() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revision");
    let (mut first, mut lines) = watching(&server, &file);
    stored(&file, "2").await;
    server.etcdctl(&["put", "app/a", "1"]).await;
    assert_eq!(line(&mut lines).await, "2 put app/a 1");
    stored(&file, "3").await;
    first.kill().await.unwrap();

    server.etcdctl(&["put", "app/a", "2"]).await;
    server.etcdctl(&["put", "other", "3"]).await;
    server.etcdctl(&["del", "app/a"]).await;
    let (_second, mut lines) = watching(&server, &file);
    assert_eq!(line(&mut lines).await, "3 put app/a 2");
    assert_eq!(line(&mut lines).await, "5 delete app/a");
    server.etcdctl(&["put", "app/b", "\n"]).await;
    assert_eq!(line(&mut lines).await, r"6 put app/b \n");
    stored(&file, "7").await;
}
