//! From a cluster to an archive and back.

use serde_json::{Value, json};

use crate::ark::Place;

/// Fields that say what was saved: the same whoever tells them.
const SHARED: [&str; 11] = [
    "keys",
    "bytes",
    "blocks",
    "file_bytes",
    "state_root",
    "content_root",
    "archive_root",
    "revision",
    "cluster_id",
    "member_id",
    "created",
];

#[track_caller]
fn assert_same(one: &Value, other: &Value) {
    for name in SHARED {
        assert_eq!(one[name], other[name], "{name}");
        assert!(!one[name].is_null(), "{name}");
    }
}

#[tokio::test]
async fn what_was_saved_comes_back() {
    let place = Place::holding("a/", 1000, 300).await;
    place.server.etcdctl(&["put", "b/one", "value"]).await;

    let saved = place.json("backup -o saved.ark").await;
    assert_eq!(saved["keys"], 1001);
    assert_eq!(saved["bytes"], 1000 * 310 + 10);
    assert_eq!(saved["leases"], 0);
    assert_eq!(saved["path"], "saved.ark");
    assert_eq!(saved["server_version"], place.server.version());
    assert!(saved["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(saved["state_root"].as_str().unwrap().len(), 64);
    assert_eq!(saved["file_bytes"], place.path("saved.ark").metadata().unwrap().len());

    assert_same(&saved, &place.json("info saved.ark").await);
    let verified = place.json("verify saved.ark").await;
    assert_same(&saved, &verified);
    assert_eq!((&verified["good"], &verified["findings"]), (&json!(true), &json!([])));

    let keys = place.run("ls saved.ark").await.succeeded().lines();
    assert_eq!((keys.len(), &*keys[0], &*keys[1000]), (1001, "a/00000000", "b/one"));
    assert_eq!(place.run("ls saved.ark --prefix b/").await.succeeded().lines(), ["b/one"]);
    assert_eq!(place.run("get saved.ark b/one").await.succeeded().text(), "value");

    place.wipe().await;
    let restored = place.json("restore saved.ark --yes").await;
    assert_eq!((&restored["written"], &restored["kept"]), (&json!(1001), &json!(0)));
    assert_eq!(restored["cluster_id"], saved["cluster_id"]);
    assert_eq!(
        (&restored["same"], &restored["missing"], &restored["different"]),
        (&json!(1001), &json!(0), &json!(0))
    );
    assert_eq!(restored["content_root"], saved["content_root"]);
    let unchecked = place.json("restore saved.ark --yes --no-check").await;
    assert_eq!((&unchecked["written"], &unchecked["same"]), (&json!(0), &Value::Null));
    assert_eq!(place.server.etcdctl(&["get", "b/one", "--print-value-only"]).await, "value\n");

    let again = place.json("backup -o again.ark").await;
    assert_eq!(again["content_root"], saved["content_root"]);
    assert_ne!(again["state_root"], saved["state_root"], "revisions moved on");
}

#[tokio::test]
async fn people_get_aligned_lines() {
    let place = Place::holding("a/", 2000, 100).await;
    let text = place.run("backup -o saved.ark").await.succeeded().text();
    for line in [
        "keys:           2,000\n",
        "bytes:          214.84 KiB (220,000 bytes)\n",
        "range:          all keys\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let info = place.run("info saved.ark").await.succeeded();
    assert!(info.text().lines().all(|line| text.contains(line)), "{}\n{text}", info.text());
    assert!(place.run("verify saved.ark").await.succeeded().text().starts_with("good:           yes\n"));
}

#[tokio::test]
async fn an_archive_goes_through_pipes() {
    let place = Place::holding("a/", 500, 100).await;
    let piped = place.run("backup -o - -w json").await.succeeded();
    let saved: Value = serde_json::from_str(&piped.stderr).unwrap();
    assert_eq!((&saved["keys"], &saved["path"]), (&json!(500), &Value::Null));
    place.write("saved.ark", &piped.stdout);
    assert_same(&saved, &place.json("info saved.ark").await);

    let mut verify = place.ark("verify - -w json");
    verify.stdin(std::fs::File::open(place.path("saved.ark")).unwrap());
    assert_same(&saved, &crate::ark::run(&mut verify).await.succeeded().json());
}

#[tokio::test]
async fn a_prefix_limits_backups_and_restores() {
    let place = Place::holding("a/", 100, 10).await;
    crate::ark::fill(&place.server, "b/", 100, 10).await;
    assert_eq!(place.json("backup -o a.ark --prefix a/").await["keys"], 100);
    assert_eq!(place.json("backup -o all.ark --prefix=").await["keys"], 200);
    place.wipe().await;
    assert_eq!(place.json("restore all.ark --yes --prefix b/0000009").await["written"], 10);
    assert_eq!(place.json("restore a.ark --yes").await["written"], 100);
    assert_eq!(place.count().await, 110);
}

#[tokio::test]
async fn an_empty_keyspace_is_saved_and_restored() {
    let place = Place::new().await;
    assert_eq!(place.json("backup -o empty.ark").await["keys"], 0);
    assert_eq!(place.run("ls empty.ark").await.succeeded().text(), "");
    assert_eq!(place.json("restore empty.ark --yes").await["written"], 0);
    place.run("verify empty.ark").await.succeeded();
}

#[tokio::test]
async fn leases_are_counted_and_come_back() {
    let place = Place::new().await;
    let granted = place.server.etcdctl(&["lease", "grant", "600"]).await;
    let id = granted.split(' ').nth(1).unwrap().to_owned();
    place.server.etcdctl(&["put", "--lease", &id, "leased", "v"]).await;
    assert_eq!(place.json("backup -o saved.ark").await["leases"], 1);
    assert_eq!(place.json("verify saved.ark").await["leases"], 1);
    assert_eq!(place.json("get saved.ark leased").await["lease"], id);
    place.server.etcdctl(&["lease", "revoke", &id]).await;
    assert_eq!(place.json("restore saved.ark --yes").await["leases"], 1);
    let time_to_live = place.server.etcdctl(&["lease", "timetolive", &id, "--keys"]).await;
    assert!(time_to_live.contains("leased"), "{time_to_live}");
}

#[tokio::test]
async fn a_value_of_the_largest_size_goes_the_whole_way() {
    let place = Place::new().await;
    crate::ark::fill(&place.server, "big/", 1, 1_500_000).await;
    let saved = place.json("backup -o saved.ark").await;
    place.wipe().await;
    place.json("restore saved.ark --yes").await;
    assert_eq!(place.json("backup -o again.ark").await["content_root"], saved["content_root"]);
}

#[tokio::test]
async fn a_backup_via_a_snapshot_is_the_same() {
    let place = Place::holding("a/", 1000, 300).await;
    crate::ark::fill(&place.server, "b/", 10, 10).await;
    let scanned = place.json("backup -o scanned.ark --prefix a/").await;
    let saved = place.json("backup -o saved.ark --prefix a/ --via-snapshot").await;
    assert_eq!((&saved["keys"], &saved["restarts"]), (&json!(1000), &json!(0)));
    assert_eq!(saved["state_root"], scanned["state_root"]);
    assert_same(&saved, &place.json("verify saved.ark").await);
    let piped = place.run("backup -o - --prefix a/ --via-snapshot -w json").await.succeeded();
    place.write("piped.ark", &piped.stdout);
    assert_eq!(place.json("verify piped.ark").await["state_root"], scanned["state_root"]);
    let options = &place.json("info saved.ark").await["options"];
    assert_eq!(options[2], json!({"name": "read", "value": "via snapshot"}));
}

#[tokio::test]
async fn a_backup_may_be_gentle() {
    let place = Place::holding("a/", 1000, 300).await;
    let saved = place.json("backup -o saved.ark --concurrency 8").await;
    let gentle = place.json("backup -o gentle.ark --concurrency 1 --rate 1").await;
    assert_eq!(gentle["state_root"], saved["state_root"]);
    place.run("backup -o no.ark --concurrency 0").await.failed(2, "--concurrency");
}

#[tokio::test]
async fn users_members_and_options_are_shown() {
    let place = Place::new().await;
    place.server.etcdctl(&["role", "add", "reader"]).await;
    place.server.etcdctl(&["role", "grant-permission", "reader", "read", "a/", "--prefix"]).await;
    place.server.etcdctl(&["user", "add", "app:pass"]).await;
    place.server.etcdctl(&["user", "grant-role", "app", "reader"]).await;
    place.run("backup -o saved.ark").await.succeeded();
    let info = place.json("info saved.ark").await;
    assert_eq!(info["users"], json!([{"name": "app", "roles": "reader"}]));
    assert_eq!(info["roles"], json!([{"name": "reader", "allows": "read keys from a/ to a0"}]));
    assert_eq!(info["members"][0]["server_version"], place.server.version());
    assert_eq!(info["alarms"], json!([]));
    assert_eq!(info["options"][0]["name"], "compression");
    let text = place.run("info saved.ark").await.succeeded().text();
    assert!(text.contains("users: 1\n  name app, roles reader\n"), "{text}");
}
