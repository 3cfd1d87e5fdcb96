//! What restores write, and what stops them.

use crate::ark::{Place, run};
use crate::support::Server;

async fn saved() -> Place {
    let place = Place::holding("a/", 300, 100).await;
    place.run("backup -o saved.ark").await.succeeded();
    place
}

#[tokio::test]
async fn existing_keys_are_safe_unless_the_mode_says_otherwise() {
    let place = saved().await;
    place.server.etcdctl(&["put", "a/00000000", "newer"]).await;
    place.server.etcdctl(&["del", "a/00000001"]).await;

    let refused = place.run("restore saved.ark --yes").await.failed(8, "a/00000000");
    assert!(refused.stderr.contains("--mode missing"), "{}", refused.stderr);
    assert_eq!(place.count().await, 299);

    let missing = place.json("restore saved.ark --yes --mode missing").await;
    assert_eq!((missing["written"].as_u64(), missing["kept"].as_u64()), (Some(1), Some(299)));
    assert_eq!(place.run("get saved.ark a/00000001").await.succeeded().stdout.len(), 100);
    let newer = place.server.etcdctl(&["get", "a/00000000", "--print-value-only"]).await;
    assert_eq!(newer, "newer\n");

    assert_eq!(place.json("restore saved.ark --yes --mode replace --no-undo").await["written"], 1);
    let changed = place.server.etcdctl(&["get", "a/00000000", "-w", "json"]).await;
    assert!(changed.contains(r#""version":3"#), "{changed}");
    assert_eq!(place.json("restore saved.ark --yes --mode overwrite --no-undo").await["written"], 300);
    assert_eq!(place.files(), ["saved.ark"]);
}

/// Slowly, so that somebody else surely gets a word in. Four times, since chance has a part in what is sent when.
#[tokio::test]
async fn a_key_that_changes_as_soon_as_it_is_restored_is_told() {
    let place = &saved().await;
    let restore = async |to: &str| {
        let line = format!("restore saved.ark --yes --rate 20 --prefix a/ --map a/={to}");
        let (restored, ()) = tokio::join!(place.run(&line), meddle(place, to));
        let failed = restored.failed(7, "1 keys were restored and are something else again");
        assert!(failed.text().contains("equal"), "{failed:?}");
    };
    tokio::join!(restore("b/"), restore("c/"), restore("d/"), restore("e/"));
}

/// Changes the first key that comes: batches have no order among themselves.
async fn meddle(place: &Place, prefix: &str) {
    let restored = loop {
        let keys = place.server.etcdctl(&["get", prefix, "--prefix", "--keys-only"]).await;
        if let Some(key) = keys.lines().next() {
            break key.to_owned();
        }
    };
    place.server.etcdctl(&["put", &restored, "newer"]).await;
}

#[tokio::test]
async fn without_yes_and_a_terminal_nothing_is_done() {
    let place = saved().await;
    place.wipe().await;
    place.run("restore saved.ark").await.failed(2, "--yes");
    // Not even if somebody pipes the answer in.
    let mut answered = place.ark("restore saved.ark");
    place.write("answer", "y\n");
    answered.stdin(std::fs::File::open(place.path("answer")).unwrap());
    run(&mut answered).await.failed(2, "--yes");
    assert_eq!(place.count().await, 0);
}

#[tokio::test]
async fn another_cluster_is_a_target_only_if_that_is_said() {
    let place = saved().await;
    let other = Place::with(Server::start().await);
    std::fs::copy(place.path("saved.ark"), other.path("saved.ark")).unwrap();
    let refused = other.run("restore saved.ark --yes").await.failed(2, "but the endpoints are of cluster");
    assert!(refused.stderr.contains("--any-cluster"), "{}", refused.stderr);
    assert_eq!(other.count().await, 0);
    assert_eq!(other.json("restore saved.ark --yes --any-cluster").await["written"], 300);
    assert_eq!(other.count().await, 300);
}

#[tokio::test]
async fn a_restore_that_fills_the_database_says_how_far_it_came() {
    let place = Place::holding("a/", 20_000, 1500).await;
    place.run("backup -o saved.ark").await.succeeded();
    let small = Server::builder().flag("--quota-backend-bytes", "8388608").start().await;
    let small = Place::with(small);
    let mut restore = small.ark("restore --yes --any-cluster");
    let failed = run(restore.arg(place.path("saved.ark"))).await.failed(7, "space");
    assert!(failed.stderr.contains("of 20000 keys were written"), "{}", failed.stderr);
    assert!(failed.stderr.contains("the same restore again goes on"), "{}", failed.stderr);
    assert!(failed.stderr.contains("--quota-backend-bytes"), "{}", failed.stderr);
    let written = small.count().await;
    assert!(written > 0 && written < 20_000, "{written}");
}

#[tokio::test]
async fn a_rate_is_kept() {
    let place = saved().await;
    place.wipe().await;
    let restored = place.json("restore saved.ark --yes --rate 100").await;
    assert_eq!(restored["written"], 300);
    // The last of three batches waits until the 256 keys before it have had their time.
    assert!(restored["seconds"].as_f64().unwrap() > 2.5, "{restored}");
    place.run("restore saved.ark --yes --rate 0").await.failed(2, "--rate");
}
