//! Measuring a cluster without changing it.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::ark::{Place, fill, finish};
use crate::interrupt::{send, until_it_catches_interrupts};
use crate::support::{Fault, Permission, Proxy, Server, Tls};

const KEYS: usize = 2000;

/// The way of this name in the result; of scans, one with so many parts at once.
#[track_caller]
fn way<'a>(json: &'a Value, name: &str, concurrency: Option<u64>) -> &'a Value {
    let ways = json["ways"].as_array().unwrap();
    let found = ways.iter().find(|way| way["way"] == name && way["concurrency"].as_u64() == concurrency);
    found.unwrap_or_else(|| panic!("{name} is not in {json}"))
}

/// It has read these keys to the end, and others have read meanwhile.
#[track_caller]
fn read_all(way: &Value, keys: usize) {
    let turns = way["turns"].as_array().unwrap();
    let complete: Vec<_> = turns.iter().filter(|turn| turn["complete"] == true).collect();
    assert!(way["complete"] == true && !complete.is_empty(), "{way}");
    for turn in complete {
        assert_eq!(turn["keys"], keys, "{way}");
        assert!(turn["seconds"].as_f64().unwrap() > 0.0 && turn["pages"].as_u64().unwrap() > 0, "{way}");
    }
    assert!(way["other_reads"].as_u64().unwrap() > 0 && way["other_reads_failed"] == 0, "{way}");
    let percentile = |name| way[format!("other_reads_{name}_seconds")].as_f64().unwrap();
    assert!(0.0 < percentile("p50") && percentile("p50") <= percentile("p99"), "{way}");
}

/// The whole state of the server, as `etcdctl` tells it.
async fn state(place: &Place) -> (i64, String) {
    let got = place.server.etcdctl(&["get", "x", "-w", "json"]).await;
    let got: Value = serde_json::from_str(&got).unwrap();
    (got["header"]["revision"].as_i64().unwrap(), place.server.etcdctl(&["lease", "list"]).await)
}

#[tokio::test]
async fn every_way_reads_all_keys_and_nothing_is_changed() {
    let place = Place::holding("a/", KEYS, 100).await;
    let before = state(&place).await;
    let json = place.json("bench --rounds 2 --concurrency 1,3 --for 2m").await;
    assert_eq!(state(&place).await, before);
    assert_eq!((place.files(), place.count().await), (vec![], KEYS as u64));

    assert_eq!((&json["keys"], &json["revision"]), (&KEYS.into(), &before.0.into()));
    for (name, concurrency) in [
        ("scan by pages", Some(1)),
        ("scan by pages", Some(3)),
        ("pages of 1,000, as other clients do", None),
    ] {
        read_all(way(&json, name, concurrency), KEYS);
    }
    let pages = &way(&json, "pages of 1,000, as other clients do", None)["turns"][0]["pages"];
    assert_eq!(*pages, KEYS.div_ceil(1000));
    let snapshot = way(&json, "snapshot, whole database", None);
    read_all(snapshot, 0);
    assert!(snapshot["turns"][0]["bytes"].as_u64().unwrap() > 100 * KEYS as u64, "{snapshot}");
    assert!(way(&json, "no reading", None)["other_reads"].as_u64().unwrap() > 0);
    assert_eq!(json["backup_is_a_guess"], false, "{json}");
    let advised = json["backup_concurrency"].as_u64().unwrap();
    assert!([1, 3].contains(&advised) && json["backup_seconds"].as_f64().unwrap() > 0.0, "{json}");
}

#[tokio::test]
async fn servers_with_streams_are_read_by_them_and_others_have_none() {
    let place = Place::with(Server::builder().version("3.7.3").start().await);
    fill(&place.server, "a/", KEYS, 100).await;
    let json = place.json("bench --rounds 1 --concurrency 2 --prefix a/0000").await;
    read_all(way(&json, "scan by streams", Some(2)), KEYS);
    assert_eq!((&json["not_measured"], &json["server_version"]), (&Value::Array(vec![]), &"3.7.3".into()));

    let place = Place::with(Server::builder().version("3.5.1").start().await);
    fill(&place.server, "a/", KEYS, 10).await;
    let outcome = place.run("bench --rounds 1").await.succeeded();
    let text = outcome.text();
    for told in
        ["not measured: scan by streams: ", "3.7", "scan by pages, 8 at once", "A backup reads these keys in"]
    {
        assert!(text.contains(told), "{told} is not in {text}");
    }
    assert!(!text.contains("scan by streams, "), "{text}");
}

#[tokio::test]
async fn what_there_is_no_time_for_is_stopped_and_said_to_be() {
    // Without streams, which take one round trip for all.
    let place = Place::with(Server::builder().version("3.5.1").start().await);
    fill(&place.server, "a/", 20_000, 1000).await;
    let proxy = Proxy::to(place.server.port()).await;
    let slow = Fault::Slow { each_way: Duration::from_millis(150), stall: Duration::ZERO };
    proxy.set(slow);
    // Two seconds a turn: time for a few of some fourteen pages.
    let line = format!("bench --rounds 1 --concurrency 1 --for 10s --endpoints {}", proxy.endpoint());
    let json = place.json(&line).await;
    let pages = way(&json, "scan by pages", Some(1));
    assert_eq!((&pages["complete"], pages["turns"].as_array().unwrap().len()), (&Value::Bool(false), 1));
    let keys = pages["turns"][0]["keys"].as_u64().unwrap();
    assert!(0 < keys && keys < 20_000, "{pages}");
    assert!(pages["other_reads_p50_seconds"].as_f64().unwrap() >= 0.3, "{pages}");
    assert!(json["backup_seconds"].as_f64().unwrap() > 2.0, "{json}");
    assert_eq!(json["backup_is_a_guess"], true, "{json}");
    let advice = json["advice"][0].as_str().unwrap();
    assert!(advice.contains("going by those that there was time for"), "{advice}");
    place.run("bench --for 100ns --rounds 100").await.failed(1, "allow more time by --for");
}

#[tokio::test]
async fn a_user_who_may_read_a_prefix_can_measure_it() {
    let server = Server::start().await;
    server.enable_auth("s3cret").await;
    server.add_user("reader", "pass", &[(Permission::Read, "open/")]).await;
    for number in 0..20 {
        server.etcdctl(&["put", &format!("open/{number}"), "v"]).await;
    }
    let place = Place::with(server);
    let as_reader = "bench --rounds 1 --concurrency 2 --user reader:pass";
    let json = place.json(&format!("{as_reader} --prefix open/")).await;
    read_all(way(&json, "scan by pages", Some(2)), 20);
    let missing = json["not_measured"].as_array().unwrap();
    let snapshot = missing.iter().find(|missing| missing["way"] == "snapshot, whole database").unwrap();
    assert!(snapshot["why"].as_str().unwrap().contains("permission denied"), "{snapshot}");
    let streams = missing.iter().find(|missing| missing["way"] == "scan by streams").unwrap();
    assert_eq!(streams["why"], "all keys came with the first page");
    place.run(as_reader).await.failed(4, "permission denied");
    let wrong = place.run("bench --user reader:hunter2").await.failed(4, "help: ");
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
}

#[tokio::test]
async fn what_cannot_be_measured_is_told() {
    let tls = Tls::new();
    let place = Place::with(Server::builder().tls(&tls).start().await);
    let trusting = format!("bench --cacert {}", tls.ca().display());
    place.run(&trusting).await.failed(1, "the cluster holds none of all keys");
    place.server.etcdctl(&["put", "k", "v"]).await;
    place.run(&format!("{trusting} --rounds 1 --concurrency 1")).await.succeeded();
    place.run(&format!("{trusting} --prefix l")).await.failed(1, "give another --prefix");
    place.run("bench").await.failed(3, "certificate");
    place.run("bench --endpoints http://127.0.0.1:1").await.failed(3, "--endpoints");
    for (flags, told) in [
        ("--concurrency 0", "--concurrency"),
        ("--concurrency 1,,2", "--concurrency"),
        ("--concurency 1", "--concurrency"),
        ("--for 10", "500ms"),
        ("--for 0s", "more than 0"),
        ("--rounds 0", "--rounds"),
        ("--rounds 1001", "1..=1000"),
        ("-o file", "-o"),
    ] {
        place.run(&format!("bench {flags}")).await.failed(2, told);
    }
}

#[tokio::test]
async fn an_interruption_ends_it_at_once() {
    let place = Place::holding("a/", 100, 10).await;
    let child = place.ark("bench --for 1h --rounds 100").spawn().unwrap();
    until_it_catches_interrupts(&child).await;
    send(Signal::SIGINT, &child);
    let outcome = finish(child).await.failed(130, "interrupted");
    assert_eq!(outcome.text(), "");
}

#[tokio::test]
async fn a_compaction_of_what_is_measured_has_a_code_of_its_own() {
    let place = Place::holding("a/", 100, 10).await;
    let mut child = place.ark("bench --for 1h --rounds 100 --concurrency 1").spawn().unwrap();
    // Again and again: nobody can tell when it has chosen its revision.
    while child.try_wait().unwrap().is_none() {
        place.server.etcdctl(&["put", "a/00000000", "newer"]).await;
        let (revision, _) = state(&place).await;
        place.server.etcdctl(&["compaction", &revision.to_string()]).await;
    }
    let outcome = finish(child).await.failed(5, "compacted");
    assert!(outcome.stderr.contains("less time by --for"), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_member_that_is_down_is_no_hindrance() {
    let place = Place::holding("a/", KEYS, 10).await;
    let endpoints = format!("http://127.0.0.1:1,{}", place.server.endpoint());
    let json = place.json(&format!("bench --rounds 1 --concurrency 2 --endpoints {endpoints}")).await;
    read_all(way(&json, "scan by pages", Some(2)), KEYS);
    read_all(way(&json, "snapshot, whole database", None), 0);
}
