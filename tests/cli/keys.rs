//! Keys and values of any bytes: never raw on a terminal, always exact in pipes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_ark::Client;
use serde_json::Value;

use crate::ark::Place;

const KEYS: [&[u8]; 6] =
    [b"\0", b"a\nb", b"back\\slash", b"quote\"'", "\u{e9}\u{1b}[31m".as_bytes(), b"\xff\xfe"];
const VALUE: &[u8] = b"\0value\xff\n\x1b[31m";

async fn saved() -> Place {
    let place = Place::new().await;
    let client = Client::connect([place.server.endpoint()]).await.unwrap();
    for key in KEYS {
        client.put(key, VALUE).await.unwrap();
    }
    client.put("empty", "").await.unwrap();
    place.json("backup -o saved.ark").await;
    place
}

#[tokio::test]
async fn a_key_can_be_given_back_as_it_is_shown() {
    let place = saved().await;
    let shown = place.run("ls saved.ark").await.succeeded();
    assert!(shown.stdout.iter().all(|byte| byte.is_ascii_graphic() || b" \n".contains(byte)));
    let lines = shown.lines();
    assert_eq!(lines[0], r"\x00");
    assert_eq!(lines.len(), KEYS.len() + 1);
    for key in lines.iter().filter(|key| *key != "empty") {
        let got = crate::ark::run(place.ark("get saved.ark").arg(key)).await.succeeded();
        assert_eq!(got.stdout, VALUE, "{key}");
        let found = crate::ark::run(place.ark("ls saved.ark --prefix").arg(key)).await.succeeded();
        assert_eq!(found.lines(), [key.as_str()]);
    }
    assert_eq!(place.run("get saved.ark empty").await.succeeded().stdout, b"");
}

#[tokio::test]
async fn json_holds_exact_bytes_under_etcdctls_names() {
    let place = saved().await;
    let etcdctl = place.server.etcdctl(&["get", "\u{e9}", "--prefix", "-w", "json"]).await;
    let theirs = serde_json::from_str::<Value>(&etcdctl).unwrap()["kvs"][0].clone();
    let ours = crate::ark::run(place.ark("get saved.ark -w json").arg(r"é\x1b[31m")).await.succeeded().json();
    for name in ["key", "value", "create_revision", "mod_revision", "version"] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    assert_eq!(ours["value_bytes"], VALUE.len());

    let listed = place.run("ls saved.ark -w json").await.succeeded().lines();
    let keys: Vec<Vec<u8>> = listed.iter().map(|line| key(line)).collect();
    assert!(keys.is_sorted() && KEYS.iter().all(|key| keys.contains(&key.to_vec())));
}

fn key(line: &str) -> Vec<u8> {
    let record: Value = serde_json::from_str(line).unwrap();
    BASE64_STANDARD.decode(record["key"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn binary_keys_come_back_into_the_cluster() {
    let place = saved().await;
    let saved = place.json("info saved.ark").await;
    place.wipe().await;
    place.run("restore saved.ark --yes").await.succeeded();
    assert_eq!(place.json("backup -o again.ark").await["content_root"], saved["content_root"]);
}

#[tokio::test]
async fn keys_in_errors_are_escaped() {
    let place = saved().await;
    let missing = crate::ark::run(place.ark("get saved.ark").arg(r"no\x1b")).await;
    missing.failed(1, r"holds no key no\x1b");
    place.server.etcdctl(&["put", "a\nb", "another value"]).await;
    place.run("restore saved.ark --yes").await.failed(8, r"the first a\nb");
}
