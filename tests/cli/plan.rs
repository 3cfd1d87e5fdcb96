//! Plans and undoing, as commands.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::ark::{Place, fill, run};

async fn changed() -> Place {
    let place = Place::holding("/app/", 300, 100).await;
    fill(&place.server, "/apple/", 10, 10).await;
    place.run("backup -o saved.ark").await.succeeded();
    place.server.etcdctl(&["put", "/app/00000000", "newer"]).await;
    place.server.etcdctl(&["put", "/app/extra", "extra"]).await;
    place.server.etcdctl(&["del", "/app/00000001"]).await;
    place
}

async fn value(place: &Place, key: &str) -> String {
    place.server.etcdctl(&["get", key, "--print-value-only"]).await
}

#[tokio::test]
async fn a_plan_tells_programs_exact_numbers_and_changes_nothing() {
    let place = changed().await;
    let plan = place.json("plan saved.ark --mode mirror").await;
    let tally = |keys: u64, bytes: u64| json!([{"keys": keys, "bytes": bytes}]);
    assert_eq!(plan["create"], tally(1, 113));
    assert_eq!(plan["update"], tally(1, 113));
    assert_eq!(plan["delete"], tally(1, 15));
    assert_eq!(plan["unchanged"], tally(308, 298 * 113 + 10 * 25));
    assert_eq!((&plan["keep"], &plan["extra"]), (&tally(0, 0), &tally(0, 0)));
    assert_eq!((&plan["mode"], &plan["cluster_id"]), (&json!("mirror"), &plan["source_cluster_id"]));
    assert_eq!((&plan["requests"], &plan["leases"]), (&json!(2), &json!(0)));
    assert!(plan["revision"].as_i64() > plan["source_revision"].as_i64());
    assert_eq!(plan["prefixes"][0]["prefix"], BASE64_STANDARD.encode("/app/"));
    assert_eq!(plan["prefixes"][1]["unchanged"], tally(10, 250));
    let refused = place.json("plan saved.ark").await;
    assert_eq!(refused["conflicts"], json!([BASE64_STANDARD.encode("/app/00000000")]));
    assert_eq!((place.count().await, value(&place, "/app/00000000").await), (310, "newer\n".into()));
    assert_eq!(place.files(), ["saved.ark"]);
}

#[tokio::test]
async fn a_plan_tells_people_what_happens_and_points_at_neighbours() {
    let place = changed().await;
    let text = place.run("plan saved.ark --prefix /app --mode mirror").await.succeeded().text();
    for told in [
        "Restore 2 keys of saved.ark",
        "  update               1 keys",
        "  /app/: create 1, update 1, delete 1, unchanged 298\n",
        "Note: --prefix /app also takes /apple/; if only /app/ is meant, say --prefix /app/.",
        "DELETED",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    let text = place.run("plan saved.ark --prefix /app/").await.succeeded().text();
    assert!(!text.contains("Note:") && text.contains("/app/00000000"), "{text}");
}

#[tokio::test]
async fn keys_are_selected_by_flags_and_files_and_expressions() {
    let place = changed().await;
    place.wipe().await;
    place.write("keys", "/app/00000005\n/app/00000006\n/nowhere\n");
    for (flags, written) in [
        ("--keys-from keys", 2),
        ("--only-key /app/00000007 --only-key /app/00000008", 2),
        ("--range /app/00000010 /app/00000020 --exclude /app/00000011 --exclude-matching 2$", 8),
        ("--prefix /apple/ --matching [0-4]$", 5),
        ("--prefix /apple/ --map /apple/=/pear/", 10),
    ] {
        let report = place.json(&format!("restore saved.ark --yes {flags}")).await;
        assert_eq!(report["written"], written, "{flags}");
    }
    assert_eq!(place.count().await, 27);
    assert_eq!(place.json("backup -o pear.ark --prefix /pear/").await["keys"], 10);
    place.run("plan saved.ark --map /apple/=/app/").await.failed(2, "/app/00000000");
    place.run("plan saved.ark --keys-from nothing").await.failed(2, "nothing");
    place.write("empty", "\n");
    place.run("plan saved.ark --keys-from empty").await.failed(2, "there are none");
}

#[tokio::test]
async fn an_undo_puts_everything_back_that_nobody_has_changed_since() {
    let place = changed().await;
    let before = place.json("backup -o before.ark").await;
    let report = place.json("restore saved.ark --yes --mode mirror").await;
    assert_eq!((&report["written"], &report["deleted"], &report["left"]), (&json!(2), &json!(1), &json!(0)));
    let undo = report["undo"].as_str().unwrap().to_owned();
    assert!(undo.starts_with("saved.undo-") && place.files().contains(&undo), "{undo}");
    assert_eq!(value(&place, "/app/extra").await, "");

    place.run(&format!("undo {undo} saved.ark")).await.failed(2, "--yes");
    place.run("undo before.ark saved.ark --yes").await.failed(2, "is a backup");
    place.run(&format!("restore {undo} --yes")).await.failed(2, "is no backup");
    let undone = place.json(&format!("undo {undo} saved.ark --yes")).await;
    assert_eq!((&undone["written"], &undone["deleted"]), (&json!(2), &json!(1)));
    let after = place.json("backup -o after.ark").await;
    assert_eq!(after["content_root"], before["content_root"]);
    let again = place.json(&format!("undo {undo} saved.ark --yes")).await;
    assert_eq!((&again["written"], &again["deleted"], &again["kept"]), (&json!(0), &json!(0), &json!(3)));

    place.run("restore saved.ark --yes --mode mirror --undo again.ark").await.succeeded();
    place.server.etcdctl(&["put", "/app/00000000", "newest"]).await;
    let partly = place.json("undo again.ark saved.ark --yes").await;
    assert_eq!((&partly["written"], &partly["kept"]), (&json!(1), &json!(1)));
    assert_eq!(value(&place, "/app/00000000").await, "newest\n");
}

#[tokio::test]
async fn an_undo_of_another_cluster_is_refused() {
    let place = changed().await;
    place.run("restore saved.ark --yes --mode replace --undo undo.ark").await.succeeded();
    let other = Place::new().await;
    let mut undo = other.ark("undo --yes");
    undo.args([place.path("undo.ark"), place.path("saved.ark")]);
    run(&mut undo).await.failed(2, "the restore was in cluster");
    assert_eq!(other.count().await, 0);
}

#[tokio::test]
async fn a_restore_never_overwrites_a_file() {
    let place = changed().await;
    place.write("undo.ark", "precious");
    place.run("restore saved.ark --yes --mode mirror --undo undo.ark").await.failed(8, "undo.ark exists");
    assert_eq!(std::fs::read(place.path("undo.ark")).unwrap(), b"precious");
    assert_eq!(value(&place, "/app/00000000").await, "newer\n");
}
