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
    let mut content = std::fs::read(place.path("saved.ark")).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x10;
    place.write("bad", content);

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
