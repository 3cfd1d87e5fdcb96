//! Comparing, as a command.

use serde_json::{Value, json};

use crate::ark::Place;

#[tokio::test]
async fn differences_are_lines_and_the_exit_code_is_diffs() {
    let place = Place::holding("a/", 500, 100).await;
    place.run("backup -o one.ark").await.succeeded();
    let same = place.run("diff one.ark cluster").await.succeeded();
    assert_eq!((same.text(), &*same.stderr), (String::new(), "0 keys differ, 500 are the same\n"));

    place.server.etcdctl(&["put", "a/00000001", "x\u{1b}[31m"]).await;
    place.server.etcdctl(&["put", "b", "new"]).await;
    place.server.etcdctl(&["del", "a/00000002"]).await;
    place.run("backup -o two.ark").await.succeeded();
    let endpoint = place.server.endpoint();
    let expected = ["~ a/00000001: 100 bytes -> 6 bytes", "- a/00000002: 100 bytes", "+ b: 3 bytes"];
    for line in ["diff one.ark two.ark", "diff one.ark cluster", &format!("diff one.ark {endpoint}")] {
        let outcome = place.run(line).await;
        assert_eq!(
            (outcome.code, &outcome.lines()[..]),
            (Some(1), &expected.map(str::to_owned)[..]),
            "{line}"
        );
        assert_eq!(outcome.stderr, "3 keys differ, 498 are the same\n");
    }
    let backwards = place.run("diff cluster one.ark --prefix b").await;
    assert_eq!((backwards.code, backwards.text()), (Some(1), "- b: 3 bytes\n".into()));

    let values = place.run("diff one.ark cluster --values --prefix a/00000001").await.text();
    assert!(values.ends_with("-> \"x\\x1b[31m\"\n"), "{values}");
    let told = place.run("diff one.ark two.ark -w json").await;
    let told: Vec<Value> = told.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes: Vec<_> = told.iter().map(|line| line["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["changed", "removed", "added"]);
    assert_eq!((&told[2]["a"], &told[2]["b"][0]["key"]), (&json!([]), &json!("Yg==")));
    assert_eq!((&told[0]["b"][0]["value_bytes"], &told[0]["b"][0]["value"]), (&json!(6), &Value::Null));
}

#[tokio::test]
async fn what_cannot_be_compared_is_no_difference() {
    let place = Place::holding("a/", 5, 10).await;
    place.run("backup -o one.ark").await.succeeded();
    place.run("diff one.ark missing.ark").await.failed(2, "missing.ark");
    place.run("diff one.ark http://127.0.0.1:1").await.failed(3, "127.0.0.1:1");
    place.write("bad.ark", "bad");
    place.run("diff bad.ark one.ark").await.failed(6, "bad.ark");
}
