//! Undoing what no archive tells any more.

use crate::ark::Place;

/// A place whose keys have changed in all ways since `saved.ark` was made; `before.ark` is how they are.
async fn changed() -> Place {
    let place = Place::holding("a/", 3000, 300).await;
    place.run("backup -o saved.ark").await.succeeded();
    place.server.etcdctl(&["put", "a/00000001", "changed"]).await;
    place.server.etcdctl(&["del", "a/00002999"]).await;
    place.server.etcdctl(&["put", "b/00000001", "mine"]).await;
    place.run("backup -o before.ark").await.succeeded();
    place
}

#[tokio::test]
async fn what_no_archive_tells_later_is_undone_by_what_was_saved() {
    let place = changed().await;
    place.damage("saved.ark", "damaged.ark");
    for line in ["restore -", "restore damaged.ark --salvage", "restore - --map a/=b/"] {
        let restore = format!("{line} --yes --mode replace --undo undo.ark -w json");
        let report = place.run_with(&restore, "saved.ark").await.succeeded().json();
        assert_eq!(
            (&report["undo"], &report["written_keys"]),
            (&"undo.ark".into(), &"undo.written.ark".into())
        );
        assert!(report["written"].as_u64().unwrap() > 0, "{line}: {report}");
        let undone = place.json("undo undo.ark undo.written.ark --yes").await;
        assert_eq!(undone["left"], 0, "{line}");
        place.run("diff before.ark cluster").await.succeeded();
        for file in ["undo.ark", "undo.written.ark"] {
            std::fs::remove_file(place.path(file)).unwrap();
        }
    }
}

#[tokio::test]
async fn an_archive_that_stays_is_not_saved_again() {
    let place = changed().await;
    let report = place.json("restore saved.ark --yes --mode replace --undo undo.ark").await;
    assert!(report["undo"] == "undo.ark" && report["written_keys"].is_null(), "{report}");
    assert!(!place.path("undo.written.ark").exists());
}
