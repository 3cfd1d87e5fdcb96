//! Settings that work, and settings that don't: each is told on its own.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::ark::{Outcome, Place, run};
use crate::support::{Permission, Server, Tls};

/// The marks of the lines, each with what it is about.
fn marks(outcome: &Outcome) -> Vec<(char, String)> {
    let lines = outcome.lines();
    let mark = |line: &String| {
        let (mark, rest) = line.split_once(' ').unwrap();
        (mark.chars().next().unwrap(), rest.to_owned())
    };
    lines.iter().map(mark).collect()
}

/// Whether there is a line with this mark that tells all this.
#[track_caller]
fn told(outcome: &Outcome, mark: char, words: &[&str]) {
    let found = marks(outcome)
        .iter()
        .any(|(found, line)| *found == mark && words.iter().all(|word| line.contains(word)));
    assert!(found, "{mark} {words:?} is not in {}{}", outcome.text(), outcome.stderr);
}

#[tokio::test]
async fn settings_that_work_have_ticks_only_and_nothing_is_changed() {
    let place = Place::holding("a/", 10, 10).await;
    let outcome = place.run("check-config --for restore --store .").await.succeeded();
    assert!(marks(&outcome).iter().all(|(mark, _)| *mark == '✓'), "{}", outcome.text());
    for words in [
        &["endpoint http://127.0.0.1", "etcd 3.", "leader"][..],
        &["cluster", "all endpoints"],
        &["versions: 3."],
        &["alarms: none"],
        &["authentication: off"],
        &["permission to read all keys"],
        &["permission to write all keys"],
        &["store .", "free"],
    ] {
        told(&outcome, '✓', words);
    }
    assert_eq!((place.files(), place.count().await), (vec![], 10));
    let json = place.json("check-config").await;
    assert_eq!((&json["good"], &json["checks"][0]["field"]), (&Value::Bool(true), &"settings".into()));
    assert!(json["checks"].as_array().unwrap().iter().all(|check| check["result"] == "good"), "{json}");
}

#[tokio::test]
async fn each_endpoint_is_told_on_its_own() {
    let (place, other) = (Place::new().await, Place::new().await);
    let endpoints = format!("{},http://127.0.0.1:1", place.server.endpoint());
    let outcome = place.run(&format!("check-config --endpoints {endpoints}")).await;
    assert_eq!(outcome.code, Some(3));
    told(&outcome, '✓', &["endpoint", &place.server.endpoint()]);
    told(&outcome, '✗', &["endpoint http://127.0.0.1:1", "refused"]);
    told(&outcome, '✓', &["permission to read"]);

    let nobody = place.run("check-config --endpoints http://127.0.0.1:1 --store .").await;
    assert_eq!(nobody.code, Some(3));
    told(&nobody, '?', &["permissions", "no member answers"]);
    told(&nobody, '✓', &["store"]);

    let both = format!("{},{}", place.server.endpoint(), other.server.endpoint());
    let outcome = place.run(&format!("check-config --endpoints {both}")).await;
    assert_eq!(outcome.code, Some(2));
    told(&outcome, '✗', &["different clusters"]);
}

#[tokio::test]
async fn what_a_user_may_not_do_is_named() {
    let server = Server::start().await;
    server.enable_auth("s3cret").await;
    server.add_user("app", "pass", &[(Permission::Read, "a/"), (Permission::Write, "a/x/")]).await;
    let place = Place::with(server);
    let check = async |flags: &str| place.run(&format!("check-config {flags}")).await;
    told(&check("--user app:pass --prefix a/").await.succeeded(), '✓', &["user app", "password right"]);
    check("--user app:pass --prefix a/x/ --for restore").await.succeeded();
    let refused = check("--user app:pass --prefix a/ --for restore").await;
    assert_eq!(refused.code, Some(4));
    told(&refused, '✗', &["write permission on keys from a/ to a/x/ and keys from a/x0 to a0"]);
    let refused = check("--user app:pass").await;
    assert_eq!(refused.code, Some(4));
    told(&refused, '✗', &["permission to read all keys", "user app needs a role with read permission"]);
    let wrong = check("--user app:hunter2 --for restore").await;
    assert_eq!(wrong.code, Some(4));
    told(&wrong, '✗', &["authentication: ", "failed"]);
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
    let nobody = check("").await;
    assert_eq!(nobody.code, Some(4));
    told(&nobody, '✗', &["authentication"]);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told() {
    let place = Place::new().await;
    place.write("bad.pem", "no certificate");
    for (flags, words) in [
        ("--endpoints https://127.0.0.1:1 --cacert nowhere.pem", "nowhere.pem"),
        ("--endpoints https://127.0.0.1:1 --cacert bad.pem", "bad.pem"),
        ("--user root --password-file nowhere", "nowhere"),
        ("--endpoints ftp://a", "scheme"),
    ] {
        let outcome = place.run(&format!("check-config {flags}")).await;
        assert_eq!(outcome.code, Some(2), "{flags}");
        told(&outcome, '✗', &["settings", words]);
    }
    told(&place.run("check-config --cacert nowhere.pem").await.succeeded(), '?', &["tls", "plaintext"]);
    let store = place.run("check-config --store nowhere").await;
    assert_eq!(store.code, Some(2));
    told(&store, '✗', &["store nowhere", "No such file"]);
    std::fs::write(place.path("file"), "").unwrap();
    std::fs::set_permissions(place.path("file"), std::fs::Permissions::from_mode(0o600)).unwrap();
    told(&place.run("check-config --store file").await, '✗', &["store file", "Not a directory"]);
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_told() {
    let (tls, other) = (Tls::new(), Tls::new());
    let place = Place::with(Server::builder().tls(&tls).start().await);
    place.run(&format!("check-config --cacert {}", tls.ca().display())).await.succeeded();
    let outcome = place.run(&format!("check-config --cacert {}", other.ca().display())).await;
    assert_eq!(outcome.code, Some(3));
    told(&outcome, '✗', &["endpoint https://", "certificate"]);
}

#[tokio::test]
async fn a_full_database_is_a_hindrance_to_a_restore_alone() {
    let server = Server::builder().flag("--quota-backend-bytes", "8388608").start().await;
    let place = Place::with(server);
    let value = "v".repeat(100_000);
    for number in 0..200 {
        let put = place.server.try_etcdctl(&["put", &format!("k{number}"), &value]).await;
        if !put.status.success() {
            break;
        }
    }
    told(&run(&mut place.ark("check-config")).await.succeeded(), '✓', &["alarms: NOSPACE"]);
    let outcome = place.run("check-config --for restore").await;
    assert_eq!(outcome.code, Some(1));
    told(&outcome, '✗', &["NOSPACE", "--quota-backend-bytes"]);
}
