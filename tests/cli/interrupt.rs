//! ctrl-C and SIGTERM in the middle of the work, compaction under a backup.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::ark::{Outcome, PATIENCE, Place, ark, finish};
use crate::support::{Fault, Proxy, Way, clock};

/// Much more than is let through, and than the buffers on the way hold.
const KEYS: usize = 20_000;
const VALUE_BYTES: usize = 1000;

pub(crate) fn send(signal: Signal, child: &Child) {
    kill(Pid::from_raw(child.id().unwrap().cast_signed()), signal).unwrap();
}

/// Starts the command with the proxy in between and waits until it stands still.
async fn stuck(place: &Place, proxy: &Proxy, line: &str) -> Child {
    let mut command = place.ark(line);
    let child = command.env("ETCDCTL_ENDPOINTS", proxy.endpoint()).spawn().unwrap();
    proxy.stalled().await;
    // What was let through is taken in.
    clock::pass(Duration::from_millis(500)).await;
    child
}

async fn until_larger(file: &Path, bytes: u64) {
    while file.metadata().unwrap().len() <= bytes {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_interrupted_backup_leaves_no_file() {
    let place = Place::holding("a/", KEYS, VALUE_BYTES).await;
    for (signal, line) in [
        (Signal::SIGINT, "backup -o saved.ark --concurrency 1"),
        (Signal::SIGTERM, "backup -o saved.ark --concurrency 1"),
        (Signal::SIGINT, "snapshot save s.db"),
    ] {
        let proxy = Proxy::stalling(place.server.port(), Way::Answer, 8 << 20).await;
        let child = stuck(&place, &proxy, line).await;
        let [unfinished] = &place.files()[..] else { panic!("{:?}", place.files()) };
        assert!(unfinished.ends_with(".part"), "{unfinished}");
        timeout(PATIENCE, until_larger(&place.path(unfinished), 1 << 20)).await.expect("it is in the middle");
        send(signal, &child);
        finish(child).await.failed(130, "was not created");
        assert_eq!(place.files(), [""; 0]);
    }
}

#[tokio::test]
async fn an_interrupted_backup_to_a_pipe_says_that_it_is_incomplete() {
    let place = Place::holding("a/", KEYS, VALUE_BYTES).await;
    let mut child = place.ark("backup -o -").spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // The pipe is full and nobody reads on.
    let mut start = vec![0; 100_000];
    stdout.read_exact(&mut start).await.unwrap();
    send(Signal::SIGINT, &child);
    finish(child).await.failed(130, "incomplete");
    place.write("bad", start);
    place.run("verify bad").await.failed(6, "not good");
}

#[tokio::test]
async fn an_interruption_before_anything_was_done_says_so() {
    let place = Place::holding("a/", 10, 10).await;
    place.run("backup -o saved.ark").await.succeeded();
    place.wipe().await;
    for line in ["restore saved.ark --yes", "backup -o b.ark", "snapshot save s.db"] {
        let proxy = Proxy::stalling(place.server.port(), Way::Answer, 0).await;
        let child = stuck(&place, &proxy, line).await;
        send(Signal::SIGINT, &child);
        finish(child).await.failed(130, "interrupted");
    }
    assert_eq!((place.files(), place.count().await), (vec!["saved.ark".to_owned()], 0));
}

#[tokio::test]
async fn an_interrupted_restore_says_how_far_it_came() {
    let place = Place::holding("a/", KEYS, VALUE_BYTES).await;
    place.run("backup -o saved.ark").await.succeeded();
    place.wipe().await;
    let proxy = Proxy::stalling(place.server.port(), Way::Request, 8 << 20).await;
    let child = stuck(&place, &proxy, "restore saved.ark --yes").await;
    send(Signal::SIGINT, &child);
    let outcome = finish(child).await.failed(7, "of 20,000 keys");
    assert!(outcome.stderr.contains("the same restore again"), "{}", outcome.stderr);

    let (told, written) = (told(&outcome), place.count().await);
    assert!(told > 0 && told <= written && written < 20_000, "told {told}, written {written}");
    let rest = place.json("restore saved.ark --yes").await;
    assert_eq!((rest["kept"].as_u64(), place.count().await), (Some(written), 20_000));
}

/// The number in "interrupted after N of M keys".
fn told(outcome: &Outcome) -> u64 {
    let (_, after) = outcome.stderr.split_once("interrupted after ").unwrap();
    after.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

/// A process that has only just begun is ended by a signal, without a word.
pub(crate) async fn until_it_catches_interrupts(child: &Child) {
    while signals(&process(child), "SigCgt:") & INTERRUPT == 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

/// SIGINT is signal 2, the second bit.
const INTERRUPT: u64 = 1 << 1;
/// SIGTERM is signal 15.
const TERMINATE: u64 = 1 << 14;

fn process(child: &Child) -> PathBuf {
    PathBuf::from(format!("/proc/{}", child.id().unwrap()))
}

/// A set of signals that the kernel tells of a process or a thread.
fn signals(task: &Path, set: &str) -> u64 {
    let status = std::fs::read_to_string(task.join("status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

/// One that came between a handler and its listener would be lost. Threads inherit what is held back as they begin, and
/// those of the runtime begin before anybody listens: they still show it.
#[tokio::test]
async fn signals_are_held_back_until_somebody_listens() {
    let mut child = ark("verify -").stdin(Stdio::piped()).spawn().unwrap();
    let _never_written = child.stdin.take();
    until_it_catches_interrupts(&child).await;
    let mut threads = std::fs::read_dir(process(&child).join("task")).unwrap();
    let both = INTERRUPT | TERMINATE;
    assert!(threads.any(|thread| signals(&thread.unwrap().path(), "SigBlk:") & both == both));
    send(Signal::SIGTERM, &child);
    finish(child).await.failed(130, "interrupted");
}

#[tokio::test]
async fn waiting_for_input_can_be_interrupted() {
    let mut child = ark("verify -").stdin(Stdio::piped()).spawn().unwrap();
    let _never_written = child.stdin.take();
    until_it_catches_interrupts(&child).await;
    send(Signal::SIGINT, &child);
    finish(child).await.failed(130, "interrupted");
}

#[tokio::test]
async fn a_compaction_under_a_backup_begins_it_anew() {
    let (place, outcome) = compacted("backup -o saved.ark --command-timeout 1m -w json").await;
    let outcome = outcome.succeeded();
    assert_eq!(
        (outcome.json()["restarts"].as_u64(), outcome.json()["keys"].as_u64()),
        (Some(1), Some(20_000))
    );
    assert!(outcome.stderr.contains("beginning anew (restart 1)"), "{}", outcome.stderr);
    place.run("verify saved.ark").await.succeeded();
}

#[tokio::test]
async fn a_compaction_under_a_backup_has_a_code_of_its_own() {
    let (place, outcome) = compacted("backup -o saved.ark --command-timeout 1m --restarts 0").await;
    let outcome = outcome.failed(5, "compacts its history faster");
    assert!(outcome.stderr.contains("run the backup again"), "{}", outcome.stderr);
    assert_eq!(place.files(), [""; 0]);
}

/// What comes of a backup when all history is compacted in the middle of it.
async fn compacted(line: &str) -> (Place, Outcome) {
    let place = Place::holding("a/", KEYS, VALUE_BYTES).await;
    let proxy = Proxy::stalling(place.server.port(), Way::Answer, 4 << 20).await;
    let child = stuck(&place, &proxy, line).await;
    place.server.etcdctl(&["put", "a/00000000", "newer"]).await;
    let latest = place.server.etcdctl(&["get", "a/00000000", "-w", "json"]).await;
    let latest: serde_json::Value = serde_json::from_str(&latest).unwrap();
    place.server.etcdctl(&["compaction", &latest["header"]["revision"].to_string()]).await;
    proxy.set(Fault::None);
    (place, finish(child).await)
}
