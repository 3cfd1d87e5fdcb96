//! The small examples, run as their readers run them, on real etcd servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::time::Duration;

use support::Server;
use tokio::process::Command;
use tokio::time::timeout;

/// Far more than any of them takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the example prints. Cargo builds examples along with tests, beside their folder.
async fn printed(example: &str, server: &Server) -> String {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(example);
    assert!(program.exists(), "{} is missing: cargo build --examples", program.display());
    let run = Command::new(program).arg(server.endpoint()).kill_on_drop(true).output();
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
