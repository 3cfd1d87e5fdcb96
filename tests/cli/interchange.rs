//! Archives as text and back, and text that is damaged.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::ark::Place;

/// A place with keys of all kinds, some of them with a lease, users and roles, and a backup of it all.
async fn saved() -> Place {
    let place = Place::holding("a/", 1500, 500).await;
    let granted = place.server.etcdctl(&["lease", "grant", "5000"]).await;
    let lease = granted.split(' ').nth(1).unwrap();
    place.server.etcdctl(&["put", "--lease", lease, "with/lease", "x"]).await;
    place.server.etcdctl(&["put", "empty", ""]).await;
    place.server.etcdctl(&["put", "odd \u{e9}\n", "\u{1}"]).await;
    place.server.etcdctl(&["role", "add", "reader"]).await;
    place.server.etcdctl(&["role", "grant-permission", "reader", "read", "a/", "a0"]).await;
    place.server.etcdctl(&["role", "grant-permission", "reader", "readwrite", "b"]).await;
    place.server.etcdctl(&["user", "add", "alice:secret"]).await;
    place.server.etcdctl(&["user", "add", "bob:secret"]).await;
    place.server.etcdctl(&["user", "grant-role", "alice", "reader"]).await;
    place.json("backup -o saved.ark").await;
    place
}

#[tokio::test]
async fn json_lines_bring_everything_back() {
    let place = saved().await;
    place.run("export saved.ark --format jsonl -o saved.jsonl").await.succeeded();
    let made = place.json("import saved.jsonl --format jsonl -o made.ark").await;
    let saved = place.json("info saved.ark").await;
    for field in ["state_root", "content_root", "keys", "range", "revision", "cluster_id", "created"] {
        assert_eq!(made[field], saved[field], "{field}");
    }
    assert_eq!(made["leases"], 1);
    assert_eq!(place.json("verify made.ark").await["good"], true);
    let [saved, mut made] = [saved, place.json("info made.ark").await];
    for field in ["authentication", "users", "roles", "members", "alarms"] {
        assert_eq!(made[field], saved[field], "{field}");
    }
    assert_eq!(made["users"][0], json!({"name": "alice", "roles": "reader"}));
    let options = made["options"].as_array_mut().unwrap();
    options.retain(|option| option["name"] != "imported from");
    assert_eq!(made["options"], saved["options"]);

    place.wipe().await;
    place.server.etcdctl(&["put", "other", "x"]).await;
    let restored = place.json("restore made.ark --mode mirror --yes").await;
    assert_eq!((&restored["written"], &restored["deleted"]), (&json!(1503), &json!(1)));
    place.run("diff made.ark cluster").await.succeeded();
}

#[tokio::test]
async fn etcdctls_json_is_what_etcdctl_prints() {
    let place = saved().await;
    let theirs = place.server.etcdctl(&["get", "", "--prefix", "-w", "json"]).await;
    let [theirs, ours]: [Value; 2] = [
        serde_json::from_str(&theirs).unwrap(),
        place.run("export saved.ark --format etcdctl").await.succeeded().json(),
    ];
    assert_eq!(ours["kvs"], theirs["kvs"]);
    assert_eq!(ours["count"], theirs["count"]);
    for field in ["cluster_id", "member_id"] {
        assert_eq!(ours["header"][field], theirs["header"][field], "{field}");
    }
    let none = place.run("export saved.ark --format etcdctl --prefix none/").await.succeeded().json();
    assert_eq!((&none["kvs"], &none["count"]), (&json!([]), &json!(0)));
}

/// The page that says what is written and read.
const PAGE: &str = include_str!("../../docs/interchange.md");

#[tokio::test]
async fn the_example_of_the_page_is_read_and_written_as_it_stands() {
    let place = Place::new().await;
    let example = PAGE.split("```\n").nth(1).unwrap();
    place.write("example", example);
    place.run("import example --format jsonl -o made.ark").await.succeeded();
    let written = place.run("export made.ark --format jsonl").await.succeeded().text();
    assert_eq!(without_options(&written), without_options(example));
    assert!(written.contains(r#"{"name":"imported from","value":"json lines"}"#), "{written}");
}

/// An import adds one that says what it was.
fn without_options(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with(r#"{"options""#)).collect()
}

/// As it was exported before there were lines about users, members and options.
const FIRST_TEXT: &str = r#"{"header":{"cluster_id":"c1","member_id":"3e","revision":9,"created_unix_ms":1700000000000,"server_version":"3.5.1","writer":"etcd-ark 0.1.0","range_start":"AA==","range_end":"AA=="}}
{"record":{"key":"YQ==","create_revision":5,"mod_revision":9,"version":1,"value":"MQ=="}}
{"record":{"key":"Yg==","create_revision":5,"mod_revision":9,"version":2,"value":"dHdv","lease":"0000000000000007"}}
{"lease":{"id":"0000000000000007","granted_ttl":60,"remaining_ttl":41}}
{"end":{"records":2}}
"#;

#[tokio::test]
async fn text_without_later_lines_is_read() {
    let place = Place::new().await;
    place.write("first", FIRST_TEXT);
    let made = place.json("import first --format jsonl -o made.ark").await;
    assert_eq!((&made["keys"], &made["leases"], &made["revision"]), (&json!(2), &json!(1), &json!(9)));
    let info = place.json("info made.ark").await;
    assert_eq!((&info["users"], &info["members"]), (&Value::Null, &Value::Null), "nobody knows");
}

#[tokio::test]
async fn a_part_claims_no_more_than_the_archive_has() {
    let place = saved().await;
    place.json("backup -o part.ark --prefix a/0000").await;
    let whole = place.json("info part.ark").await["range"].clone();
    for (prefix, range) in [("a/", whole), ("a/000000", "keys from a/000000 to a/000001".into())] {
        place.run(&format!("export part.ark --format jsonl --prefix {prefix} -o text")).await.succeeded();
        let made = place.json("import text --format jsonl -o made.ark").await;
        assert_eq!(made["range"], range);
        for name in ["text", "made.ark"] {
            std::fs::remove_file(place.path(name)).unwrap();
        }
    }
    place.run("export part.ark --format jsonl --prefix b/").await.failed(2, "can't tell about");
}

#[tokio::test]
async fn what_etcdctl_prints_becomes_the_same_archive() {
    let place = saved().await;
    let info = place.json("info saved.ark").await;
    place.write("printed", place.server.etcdctl(&["get", "", "--prefix", "-w", "json"]).await);
    place.run("export saved.ark --format etcdctl -o exported").await.succeeded();
    for text in ["printed", "exported"] {
        let made = place.json(&format!("import {text} --format etcdctl -o {text}.ark")).await;
        for field in ["state_root", "content_root", "keys", "revision", "cluster_id", "member_id"] {
            assert_eq!(made[field], info[field], "{field}");
        }
        assert_eq!(
            (&made["range"], &made["leases"]),
            (&json!("keys from a/00000000 to with/lease\\x00"), &json!(1))
        );
    }
    let told = place.json("import printed --format etcdctl -o all.ark --prefix a/").await;
    assert_eq!(told["range"], "keys from a/ to a0");
    place.wipe().await;
    assert_eq!(place.json("restore printed.ark --yes --leases drop").await["written"], 1503);
    place.run("diff saved.ark cluster").await.succeeded();
    // It printed which lease the key had, and nothing else about that.
    let dropped = place.server.etcdctl(&["get", "with/lease", "-w", "json"]).await;
    assert!(dropped.contains("\"kvs\"") && !dropped.contains("\"lease\""), "{dropped}");
}

#[tokio::test]
async fn what_is_not_all_that_etcdctl_knows_is_refused() {
    let place = Place::new().await;
    let secret = BASE64_STANDARD.encode("secret");
    place.server.etcdctl(&["put", "a", "secret"]).await;
    place.server.etcdctl(&["put", "b", "line\nsecret"]).await;
    let get = async |more: &[&str]| place.server.etcdctl(&[&["get", "", "--prefix"], more].concat()).await;
    let good = get(&["-w", "json"]).await;
    let cases = [
        (get(&[]).await, "line 1: no JSON object begins here"),
        (get(&["-w", "fields"]).await, "where a value ends"),
        (get(&["-w", "json", "--limit=1"]).await, "1 keys of 2: get them without --limit"),
        (get(&["-w", "json", "--keys-only"]).await, "no key of the text has a value"),
        (good[..good.len() / 2].to_owned(), "cut off"),
        (String::new(), "cut off"),
        (format!("{good}{good}"), "line 2: it is not the JSON of one answer at column 1"),
        (good.replace("\"key\":\"YQ==\"", "\"key\":\"Yg==\""), "key \"b\" stands twice"),
        (good.replace("\"key\":\"YQ==\",", ""), "missing field `key`"),
        (good.replace("\"key\":\"YQ==\"", "\"key\":\"\""), "its key is empty"),
        (good.replace("\"count\"", "\"counted\""), "unknown field `counted`"),
        (good.replace(&format!("\"{secret}\""), "[\"{secret}\"]"), "of another type"),
        (good.replace(&secret, &secret[1..]), "not base64"),
        (r#"{"kvs":[]}"#.to_owned(), "missing field `header`"),
    ];
    for (text, told) in cases {
        place.write("text", &text);
        let outcome = place.run("import text --format etcdctl -o made.ark").await.failed(6, told);
        assert!(
            !outcome.stderr.contains("secret") && !outcome.stderr.contains(&secret),
            "{}",
            outcome.stderr
        );
        assert_eq!(place.files(), ["text"], "{told}");
    }
    place.server.etcdctl(&["del", "", "--prefix"]).await;
    place.write("none", get(&["-w", "json"]).await);
    place.run("import none --format etcdctl -o none.ark").await.failed(2, "no key");
    assert_eq!(place.json("import none --format etcdctl -o none.ark --prefix a/").await["keys"], 0);
}

/// As SHIELD's plugin writes it: from the last key to the first.
fn descending(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    lines.reverse();
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn what_shield_has_saved_becomes_an_archive() {
    let place = saved().await;
    let text = place.run("export saved.ark --format shield").await.succeeded().text();
    let first = format!("{} : {}", BASE64_STANDARD.encode("with/lease"), BASE64_STANDARD.encode("x"));
    assert_eq!(text.lines().last(), Some(&*first));
    place.write("shield", descending(&text));
    let made = place.json("import shield --format shield -o made.ark").await;
    assert_eq!(made["content_root"], place.json("info saved.ark").await["content_root"]);
    assert_eq!(made["range"], "keys from a/00000000 to with/lease\\x00");
    assert_eq!(place.json("verify made.ark").await["good"], true);

    place.wipe().await;
    assert_eq!(place.json("restore made.ark --any-cluster --yes").await["written"], 1503);
    place.run("diff saved.ark cluster").await.succeeded();
}

#[tokio::test]
async fn the_range_of_foreign_text_can_be_said() {
    let place = Place::new().await;
    place.write("shield", "YS8x : MQ==\n");
    let made = place.json("import shield --format shield -o made.ark --prefix a/").await;
    assert_eq!(
        made["range"],
        place.json("import shield --format shield --prefix a/ -o b.ark").await["range"]
    );
    place.server.etcdctl(&["put", "a/2", "x"]).await;
    place.server.etcdctl(&["put", "b", "x"]).await;
    assert_eq!(place.json("restore made.ark --any-cluster --mode mirror --yes").await["deleted"], 1);
    assert_eq!(place.count().await, 2);
    place.write("nothing", "");
    place.run("import nothing --format shield -o none.ark").await.failed(2, "no key");
    place.run("import nothing --format shield -o none.ark --prefix a/").await.succeeded();
}

#[tokio::test]
async fn damaged_text_is_told_by_its_line_and_leaves_nothing() {
    let place = Place::new().await;
    let secret = BASE64_STANDARD.encode("secret");
    let good = format!("YQ== : {secret}\n");
    let header = r#"{"header":{"cluster_id":"1","member_id":"1","revision":1,"created_unix_ms":1,"server_version":"","writer":"","range_start":"AA==","range_end":"AA=="}}"#;
    let record = r#"{"record":{"key":"YQ==","value":"MQ=="}}"#;
    let end = |records: u32| format!(r#"{{"end":{{"records":{records}}}}}"#);
    let fact = |inside: &str| format!("{{{inside}}}\n");
    let cases = [
        ("shield", format!("{good}\n"), "line 2: it is empty"),
        ("shield", format!("{good}Yg=="), "line 2: it has no line end"),
        ("shield", format!("{good}Yg==\n"), "line 2: it has no \" : \""),
        ("shield", format!("{good}Yg== : {}\n", &secret[..7]), "line 2: its value is not base64"),
        ("shield", format!("{good}!!!! : {secret}\n"), "line 2: its key is not base64"),
        ("shield", format!("{good} : {secret}\n"), "line 2: its key is empty"),
        ("shield", format!("{good}{good}"), "key \"a\" stands twice"),
        ("shield", "BZh91AY&SY\n".to_owned(), "line 1: it has no"),
        ("jsonl", format!("{record}\nnonsense\n"), "line 2: it is not JSON"),
        ("jsonl", record.replace("value", "vlaue") + "\n", "line 1: it does not follow the schema"),
        ("jsonl", record.replace("\"MQ==\"", "77") + "\n", "line 1: it does not follow the schema"),
        ("jsonl", record.replace("MQ==", "M") + "\n", "not base64"),
        ("jsonl", format!("{record}\n{header}\n"), "line 2: the header must be the first"),
        ("jsonl", format!("{header}\n{record}\n"), "header but no end"),
        ("jsonl", format!("{header}\n{record}\n{}\n", end(2)), "line 3: 1 records stand before it, not 2"),
        ("jsonl", format!("{header}\n{}\n{record}\n", end(0)), "line 3: it stands behind the end"),
        ("jsonl", header.replace("AA==\"}", "AA==\",\"x\":1}") + "\n", "unknown field"),
        (
            "jsonl",
            r#"{"lease":{"id":"0","granted_ttl":1,"remaining_ttl":1}}"#.to_owned() + "\n",
            "lease id is 0",
        ),
        (
            "jsonl",
            fact(r#""auth":{"users":[{"name":"u"},{"name":"u"}]}"#),
            "line 1: its users hold one twice",
        ),
        ("jsonl", fact(r#""auth":{"roles":[{"name":""}]}"#), "its names hold an empty one"),
        ("jsonl", fact(r#""auth":{"state":"maybe"}"#), "unknown variant"),
        ("jsonl", fact(r#""auth":{}"#).repeat(2), "line 2: there is such a line already"),
        ("jsonl", fact(r#""members":{"members":[{"id":"x"}]}"#), "member id is no hexadecimal number"),
        ("jsonl", fact(r#""options":{"options":[{"name":"o"}]}"#), "missing field `value`"),
    ];
    for (format, text, told) in cases {
        place.write("text", &text);
        let outcome = place.run(&format!("import text --format {format} -o made.ark")).await.failed(6, told);
        assert!(!outcome.stderr.contains(&secret) && !outcome.stderr.contains("77"), "{}", outcome.stderr);
        assert_eq!(place.files(), ["text"], "{told}");
    }
    place.write("text", format!("{header}\n{record}\n{}\n", end(1)));
    place.run("import text --format jsonl -o made.ark").await.succeeded();
    let end = r#"{"end":{"records":1,"content_root":"00"}}"#;
    place.write("text", format!("{header}\n{record}\n{end}\n"));
    place.run("import text --format jsonl -o other.ark").await.failed(6, "content root");
}

#[tokio::test]
async fn keys_are_found_by_what_they_or_their_values_hold() {
    let place = Place::holding("a/", 300, 10).await;
    place.server.etcdctl(&["put", "b/x", "host: 10.0.0.1"]).await;
    place.json("backup -o saved.ark").await;
    assert_eq!(place.run("find saved.ark a/0000012").await.succeeded().lines().len(), 10);
    assert_eq!(place.run("find saved.ark --regex 9$").await.succeeded().lines().len(), 30);
    assert_eq!(
        place.run("find saved.ark --regex 9$ --prefix a/0000001").await.succeeded().lines(),
        ["a/00000019"]
    );
    assert_eq!(place.run("find saved.ark --value --regex 10[.]0").await.succeeded().lines(), ["b/x"]);
    assert_eq!(place.json("find saved.ark b/").await["key"], BASE64_STANDARD.encode("b/x"));
    place.run("find saved.ark none").await.failed(1, "holds no such key");
    place.run("find saved.ark").await.failed(2, "TEXT");
}

#[cfg(feature = "encrypt")]
#[tokio::test]
async fn encrypted_archives_are_exported_and_made() {
    let place = saved().await;
    let recipient = place.json("keygen -o id").await["recipient"].as_str().unwrap().to_owned();
    place.run("export saved.ark --format jsonl -o saved.jsonl").await.succeeded();
    place
        .run(&format!("import saved.jsonl --format jsonl -o made.ark --recipient {recipient}"))
        .await
        .succeeded();
    place.run("info made.ark").await.failed(4, "--identity");
    let text = place.run("export made.ark --format jsonl --identity id").await.succeeded().text();
    let saved = std::fs::read_to_string(place.path("saved.jsonl")).unwrap();
    assert!(without_options(&text) == without_options(&saved), "{text}");
}
