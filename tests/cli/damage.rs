//! Archives that are not good, or none.

use crate::ark::Place;

/// Commands that read `bad`.
const READERS: [&str; 4] = ["info bad", "ls bad", "get bad a/00000001", "restore bad --yes"];

async fn refused_by_all(place: &Place, content: &[u8], told: &str) {
    place.write("bad", content);
    for line in READERS {
        place.run(line).await.failed(6, told);
    }
    let verified = place.run("verify bad -w json").await.failed(6, "not good");
    let report = verified.json();
    assert_eq!(report["good"], false);
    assert!(report["findings"][0]["fault"].as_str().unwrap().contains(told), "{report}");
}

#[tokio::test]
async fn what_is_no_archive() {
    let place = Place::new().await;
    refused_by_all(&place, b"", "archive").await;
    refused_by_all(&place, b"key: value\n", "not an archive").await;
    refused_by_all(&place, &[0; 10_000], "not an archive").await;
}

#[tokio::test]
async fn a_truncated_archive() {
    let place = Place::holding("a/", 3000, 300).await;
    place.json("backup -o saved.ark").await;
    let whole = std::fs::read(place.path("saved.ark")).unwrap();
    place.wipe().await;
    for len in [1, 100, whole.len() / 2, whole.len() - 1] {
        place.write("bad", &whole[..len]);
        for line in READERS {
            place.run(line).await.failed(6, "archive");
        }
        place.run("verify bad").await.failed(6, "not good");
    }
    assert_eq!(place.count().await, 0);
}

#[tokio::test]
async fn a_flipped_bit() {
    let place = Place::holding("a/", 3000, 300).await;
    let saved = place.json("backup -o saved.ark").await;
    place.wipe().await;
    let middle = place.damage("saved.ark", "bad");

    let verified = place.run("verify bad -w json").await.failed(6, "1 finding").json();
    assert!(verified["findings"][0]["offset"].as_u64().unwrap() <= middle as u64);
    let good = verified["good_keys"].as_u64().unwrap();
    assert!(good > 0 && good < 3000, "{verified}");
    assert_eq!(verified["cluster_id"], saved["cluster_id"]);
    place.run("verify bad").await.failed(6, "1 finding");

    for mode in ["refuse", "missing", "replace"] {
        place.run(&format!("restore bad --yes --mode {mode}")).await.failed(6, "damaged");
    }
    assert_eq!(place.count().await, 0, "no key of a damaged archive is written");
}

#[tokio::test]
async fn a_newer_format() {
    let place = Place::holding("a/", 10, 10).await;
    place.json("backup -o saved.ark").await;
    let mut content = std::fs::read(place.path("saved.ark")).unwrap();
    // The major version follows the eight bytes of the magic.
    content[8] = 9;
    place.write("bad", content);
    for line in READERS {
        place.run(line).await.failed(6, "newer");
    }
}

#[tokio::test]
async fn what_is_left_is_restored_if_told_so_and_what_is_missing_is_told() {
    let place = Place::holding("a/", 3000, 300).await;
    place.json("backup -o saved.ark").await;
    place.wipe().await;
    let middle = place.damage("saved.ark", "bad");
    let content = std::fs::read(place.path("saved.ark")).unwrap();
    place.write("half", &content[..middle]);

    let verified = place.run("verify bad -w json").await.failed(6, "1 finding").json();
    let (finding, lost) = (&verified["findings"][0], &verified["lost"][0]);
    assert_eq!((&finding["frame"], &lost["blocks"]), (&"BLOCK".into(), &1.into()), "{verified}");
    let text = place.run("verify bad").await.failed(6, "1 finding").text();
    assert!(text.contains("a BLOCK frame is damaged") && text.contains("lost: keys from a/"), "{text}");

    let restored = place.json("restore bad --yes --salvage").await;
    let (written, missing) = (&restored["written"], restored["lost"][0]["keys"].as_u64().unwrap());
    assert_eq!(written.as_u64().unwrap() + missing, 3000);
    assert_eq!(restored["lost"][0]["range"], lost["range"]);
    assert_eq!(place.count().await, 3000 - missing);

    place.wipe().await;
    let half = place.json("restore half --yes --salvage").await;
    assert!(half["lost"][0]["range"].as_str().unwrap().ends_with(" on"), "{half}");
    assert_eq!(place.count().await, half["written"].as_u64().unwrap());
    place.write("none", "no archive at all");
    place.run("restore none --yes --salvage").await.failed(2, "of a cluster that is lost");
    assert_eq!(place.json("restore none --yes --salvage --any-cluster").await["written"], 0);
    place.run("restore bad --yes --salvage --mode mirror").await.failed(2, "would delete the keys that");
}

#[tokio::test]
async fn the_structure_is_verified_without_the_data() {
    let place = Place::holding("a/", 3000, 300).await;
    let saved = place.json("backup -o saved.ark").await;
    let checked = place.json("verify saved.ark --level structure").await;
    assert_eq!((&checked["structure_good"], &checked["state_root"]), (&true.into(), &saved["state_root"]));
    let content = std::fs::read(place.path("saved.ark")).unwrap();
    place.write("short", &content[..content.len() - 1]);
    place.run("verify short --level structure").await.failed(6, "archive");
    place.damage("saved.ark", "flipped");
    place.run("verify flipped --level structure").await.succeeded();
    place.run_with("verify - --level structure", "saved.ark").await.succeeded();
    place.run_with("verify - --level structure", "short").await.failed(6, "archive");
}

#[tokio::test]
async fn what_is_left_of_what_comes_through_a_pipe_is_that_of_the_file() {
    let place = Place::holding("a/", 3000, 300).await;
    place.json("backup -o saved.ark").await;
    place.wipe().await;
    place.damage("saved.ark", "bad");
    let expected = place.json("plan bad --salvage").await;
    assert!(expected["lost"][0]["keys"].as_u64().unwrap() > 0, "{expected}");

    let with = async |line: &str| place.run_with(line, "bad").await;
    with("plan -").await.failed(6, "damaged");
    let planned = with("plan - --salvage -w json").await.succeeded().json();
    assert_eq!((&planned["lost"], &planned["create"]), (&expected["lost"], &expected["create"]));
    let restored = with("restore - --yes --salvage -w json").await.succeeded().json();
    assert_eq!(restored["lost"], expected["lost"]);
    assert_eq!(place.count().await, restored["written"].as_u64().unwrap());
    assert_eq!(3000 - place.count().await, expected["lost"][0]["keys"].as_u64().unwrap());
    place.run("restore - --yes --salvage").await.failed(2, "of a cluster that is lost");
    assert_eq!(place.files(), ["bad", "saved.ark"]);
}
