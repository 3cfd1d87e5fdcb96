//! Leases, users and roles, as commands restore them.

use crate::ark::{Place, run};
use crate::support::{Permission, Server};

/// Whose archive `saved.ark` in the other's folder is.
async fn with_users() -> (Place, Place) {
    let server = Server::start().await;
    server.etcdctl(&["put", "a/k", "v"]).await;
    server.enable_auth("s3cret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "a/")]).await;
    let (place, other) = (Place::with(server), Place::new().await);
    place.run("backup -o saved.ark --user root:s3cret").await.succeeded();
    std::fs::copy(place.path("saved.ark"), other.path("saved.ark")).unwrap();
    (place, other)
}

#[tokio::test]
async fn users_come_with_passwords_from_a_file_or_without() {
    let (_place, other) = with_users().await;
    other.write("passwords", "app:hunter2:and more\n");
    let line = "restore saved.ark --yes --any-cluster --users";
    let refused = other.run(&format!("{line} --passwords-from passwords")).await.failed(2, "user root");
    assert!(refused.stderr.contains("--no-passwords"), "{}", refused.stderr);
    assert_eq!(other.count().await, 0, "nothing is written before all is known");

    let done = other.run(&format!("{line} --passwords-from passwords --no-passwords")).await.succeeded();
    assert!(done.text().contains("add user app") && !format!("{done:?}").contains("hunter2"), "{done:?}");
    let users = other.server.etcdctl(&["user", "list"]).await;
    assert_eq!((users.as_str(), other.count().await), ("app\nroot\n", 1));
    assert!(done.text().contains("delete user app"), "{}", done.text());
    let again = other.json(&format!("{line} --no-passwords")).await;
    assert_eq!(again["users_and_roles"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn the_record_tells_what_takes_users_and_roles_back() {
    let (_place, other) = with_users().await;
    let server = &other.server;
    server.etcdctl(&["role", "add", "app"]).await;
    server.etcdctl(&["role", "grant-permission", "app", "read", "a/", "a0"]).await;
    let done = other.json("restore saved.ark --yes --any-cluster --users --no-passwords").await;
    let changes = done["users_and_roles"].as_array().unwrap();
    let taken_back: Vec<_> = changes.iter().map(|change| change["taken_back_by"].as_str().unwrap()).collect();
    let expected = [
        "delete role root",
        "let role app read keys from a/ to a0",
        "delete user app",
        "delete user root",
        "take the role app from user app",
        "take the role root from user root",
    ];
    assert_eq!(taken_back, expected, "{done}");
}

#[tokio::test]
async fn what_is_wrong_with_users_is_told_before_anything_is_written() {
    let (place, other) = with_users().await;
    place.run("backup -o keys.ark --prefix a/ --user app:pass").await.succeeded();
    std::fs::copy(place.path("keys.ark"), other.path("keys.ark")).unwrap();
    other.write("bad", "app:pass\nhunter2\n");
    for (flags, code, told) in [
        ("saved.ark --users --passwords-from bad", 2, "line 2 is not NAME:PASSWORD"),
        ("saved.ark --users --passwords-from nothing", 2, "nothing"),
        ("saved.ark --no-passwords", 2, "--users"),
        ("keys.ark --users --no-passwords", 2, "has no users and roles"),
    ] {
        let refused = other.run(&format!("restore --yes --any-cluster {flags}")).await.failed(code, told);
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }
    assert_eq!((other.count().await, other.server.etcdctl(&["user", "list"]).await), (0, String::new()));
}

#[tokio::test]
async fn leases_follow_the_policy_that_is_given() {
    let place = Place::new().await;
    let granted = place.server.etcdctl(&["lease", "grant", "600"]).await;
    let lease = granted.split_whitespace().nth(1).unwrap().to_owned();
    place.server.etcdctl(&["put", "a/k", "v", "--lease", &lease]).await;
    place.run("backup -o saved.ark").await.succeeded();
    for (flags, leases) in
        [("--leases drop", vec![]), ("--leases same-id --lease-ttl remaining", vec![lease.clone()])]
    {
        place.server.etcdctl(&["del", "a/k"]).await;
        place.server.try_etcdctl(&["lease", "revoke", &lease]).await;
        let report = place.json(&format!("restore saved.ark --yes {flags}")).await;
        assert_eq!((&report["leases"], &report["equal"]), (&leases.len().into(), &true.into()), "{flags}");
        let listed = place.server.etcdctl(&["lease", "list"]).await;
        assert!(leases.iter().all(|lease| listed.contains(lease.as_str())), "{flags}: {listed}");
    }
    place.run("restore saved.ark --yes --leases other").await.failed(2, "same-id");
}

#[tokio::test]
async fn the_record_of_a_restore_tells_what_was_before_and_what_is_now() {
    let place = Place::holding("a/", 100, 10).await;
    let saved = place.json("backup -o saved.ark").await;
    place.server.etcdctl(&["del", "a/00000001"]).await;
    let record = place.json("restore saved.ark --yes --mode missing").await;
    for field in ["archive_root", "content_root"] {
        assert_eq!(record[field], saved[field], "{field}");
    }
    assert_eq!((&record["archive_content_root"], &record["equal"]), (&saved["content_root"], &true.into()));
    assert_eq!(
        (&record["source_cluster_id"], &record["cluster_id"]),
        (&saved["cluster_id"], &saved["cluster_id"])
    );
    assert_eq!((&record["mode"], &record["source_revision"]), (&"missing".into(), &saved["revision"]));
    assert_eq!(record["revision"].as_i64(), record["revision_before"].as_i64().map(|before| before + 1));
    assert!(record["started"].as_str().unwrap().ends_with('Z'));

    place.server.etcdctl(&["put", "a/00000001", "newer"]).await;
    let record = place.json("restore saved.ark --yes --mode missing").await;
    assert_eq!((&record["equal"], &record["different"]), (&false.into(), &1.into()));
    let mut undo = place.ark("undo saved.ark saved.ark --yes");
    run(&mut undo).await.failed(2, "is a backup");
}
