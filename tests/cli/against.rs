//! Archives against the cluster that they were made of, at their own revision.

use serde_json::{Value, json};

use crate::ark::{Place, ark, fill, run};
use crate::support::Cluster;

/// An archive of the place and one that says the same of itself, with some lines of the text changed.
async fn with_altered(place: &Place, alter: impl Fn(Value) -> Vec<Value>) -> Value {
    let saved = place.json("backup -o saved.ark").await;
    let text = place.run("export saved.ark --format jsonl").await.succeeded().text();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut lines: Vec<_> = lines.flat_map(alter).collect();
    let records = lines.iter().filter(|line| line.get("record").is_some()).count();
    *lines.last_mut().unwrap() = json!({"end": {"records": records}});
    place.write("text", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    place.json("import text --format jsonl -o altered.ark").await;
    saved
}

#[tokio::test]
async fn a_cluster_confirms_what_it_held() {
    let place = Place::holding("a/", 3000, 300).await;
    let saved = place.json("backup -o saved.ark").await;
    let part = place.json("backup -o part.ark --prefix a/00000").await;
    // Later changes are none of what was saved.
    place.server.etcdctl(&["put", "a/00000007", "later"]).await;
    place.server.etcdctl(&["del", "a/00000008"]).await;
    let told = place.json("verify saved.ark --against-cluster").await;
    assert_eq!(
        (&told["good"], &told["cluster_agrees"], &told["same"]),
        (&json!(true), &json!(true), &json!(3000))
    );
    assert_eq!(told["cluster_content_root"], saved["content_root"]);
    assert_eq!(
        (&told["asked_member_id"], &told["asked_another_member"]),
        (&saved["member_id"], &json!(false))
    );
    let told = place.json("verify part.ark --against-cluster --level structure").await;
    assert_eq!((&told["cluster_content_root"], &told["same"]), (&part["content_root"], &json!(1000)));
    let text = place.run_with("verify - --against-cluster", "saved.ark").await.succeeded().text();
    assert!(text.contains("cluster agrees:       yes\n"), "{text}");
}

#[tokio::test]
async fn what_differs_is_told_by_its_range() {
    let place = Place::holding("a/", 3000, 300).await;
    let key = |line: &Value| line["record"]["key"].as_str().map(str::to_owned);
    let encoded = |key: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key);
    let [changed, older, gone] = ["a/00000007", "a/00000009", "a/00002900"].map(encoded);
    with_altered(&place, |mut line| {
        if key(&line).as_ref() == Some(&changed) {
            line["record"]["value"] = json!("b3RoZXI=");
        } else if key(&line).as_ref() == Some(&older) {
            line["record"]["version"] = json!(2);
        } else if key(&line).as_ref() == Some(&gone) {
            return vec![];
        }
        vec![line]
    })
    .await;
    place.run("verify saved.ark --against-cluster").await.succeeded();
    place.run("verify altered.ark").await.succeeded();
    let told = place.run("verify altered.ark --against-cluster -w json").await.failed(6, "3 differ").json();
    assert_eq!(
        (&told["good"], &told["cluster_agrees"], &told["same"]),
        (&json!(true), &json!(false), &json!(2997))
    );
    let unequal = [
        json!({"range": "keys from a/00000007 to a/00000009\\x00", "changed": 2, "missing": 0, "extra": 0}),
        json!({"range": "key a/00002900", "changed": 0, "missing": 0, "extra": 1}),
    ];
    assert_eq!(told["unequal"], json!(unequal));
    assert_ne!(told["cluster_content_root"], told["content_root"]);
}

#[tokio::test]
async fn a_cluster_that_cannot_tell_says_why() {
    let place = Place::holding("a/", 30, 30).await;
    place.json("backup -o saved.ark").await;
    let other = Place::holding("a/", 30, 30).await;
    std::fs::copy(place.path("saved.ark"), other.path("saved.ark")).unwrap();
    other.run("verify saved.ark --against-cluster").await.failed(2, "the archive is of cluster");

    let revision = place.json("info saved.ark").await["revision"].as_i64().unwrap();
    place.server.etcdctl(&["put", "a/00000001", "x"]).await;
    let newest = (revision + 1).to_string();
    place.server.etcdctl(&["compact", &newest]).await;
    let refused = place.run("verify saved.ark --against-cluster").await;
    let refused = refused.failed(5, &format!("has compacted revision {revision}, the archive's"));
    assert!(
        refused.stderr.contains("ark diff") && !refused.stderr.contains("--via-snapshot"),
        "{}",
        refused.stderr
    );

    place.run("restore saved.ark --yes --mode replace --undo undo.ark").await.succeeded();
    place.run("verify undo.ark --against-cluster").await.failed(2, "of no range of keys");
}

#[tokio::test]
async fn another_member_is_asked() {
    let cluster = Cluster::start(3).await;
    let folder = tempfile::tempdir().unwrap();
    fill(cluster.member(0), "a/", 300, 30).await;
    let told_by = async |member: usize, line: &str| {
        let mut command = ark(&format!("{line} -w json"));
        let endpoint = cluster.member(member).endpoint();
        run(command.current_dir(&folder).env("ETCDCTL_ENDPOINTS", endpoint)).await.succeeded().json()
    };
    let saved = told_by(0, "backup -o saved.ark").await;
    for (member, another) in [(0, false), (1, true), (2, true)] {
        let told = told_by(member, "verify saved.ark --against-cluster").await;
        assert_eq!((&told["cluster_agrees"], &told["same"]), (&json!(true), &json!(300)));
        assert_eq!(told["asked_another_member"], another);
        assert_eq!(told["asked_member_id"] != saved["member_id"], another);
    }
}
