//! Scans: every key once, in order, at one revision.

use std::collections::BTreeSet;

use etcd_ark::{
    Client, Compact, Credentials, ErrorKind, KeyRange, KeyValue, Put, Revision, Scan, ScanWay, Txn,
};
use futures_util::{StreamExt, TryStreamExt};

use crate::client_of;
use crate::support::{Permission, Server, all_versions, default_version, try_binaries};

/// Writes `count` keys `{prefix}{number}`, a hundred at a time.
pub(crate) async fn load(client: &Client, prefix: &str, count: usize, value: &str) {
    let keys = (0..count).map(|number| format!("{prefix}{number:08}").into_bytes());
    write(client, keys.collect(), value).await;
}

/// Writes these keys, a hundred at a time.
async fn write(client: &Client, keys: Vec<Vec<u8>>, value: &str) {
    for batch in keys.chunks(100) {
        let puts = batch.iter().map(|key| Put::new(key.clone(), value.to_owned()));
        client.send(puts.fold(Txn::new(), Txn::then).idempotent()).await.unwrap();
    }
}

/// Keys of several shapes side by side: even and uneven folders, numbers, binary ones, and prefixes of
/// each other.
fn keys_of_many_shapes() -> BTreeSet<Vec<u8>> {
    let folders =
        (0..1000).map(|n| format!("/registry/{}/ns-{:02}/obj-{n:05}", ["pods", "secrets"][n % 2], n % 37));
    let uneven = (0..1000).map(|n| format!("/tenants/{:x}/{n}", 1_000_000 / (n + 1)));
    let texts = folders.chain(uneven).chain((0..500).map(|n| format!("key-{n}"))).map(String::into_bytes);
    let binary = (0..500_u32).map(|n| [&b"\x00\xff"[..], &(n * 7919).to_be_bytes()].concat());
    let nested = (1..300).map(|n| vec![0xff; n]);
    texts.chain(binary).chain(nested).collect()
}

async fn all(client: &Client, scan: Scan) -> Vec<KeyValue> {
    client.scan(scan).try_collect().await.unwrap()
}

#[tokio::test]
async fn every_key_comes_once_in_order_whatever_the_page_size() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "a/", 3000, "value").await;
    client.put("b", "another prefix").await.unwrap();
    for page_bytes in [1, 500, 2 << 20] {
        let limit = if page_bytes == 1 { "a/000001" } else { "a/" };
        let kvs = all(&client, Scan::prefix(limit).page_bytes(page_bytes)).await;
        assert_eq!(kvs.len(), if page_bytes == 1 { 100 } else { 3000 });
        assert!(kvs.is_sorted_by(|a, b| a.key < b.key));
    }
}

#[tokio::test]
async fn all_pages_are_read_at_the_first_ones_revision() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k", 500, "old").await;
    let mut scan = client.scan(Scan::all().page_bytes(100));
    let first = scan.try_next().await.unwrap().unwrap();
    let pinned = scan.revision().unwrap();
    load(&client, "k", 600, "new").await;
    let rest: Vec<_> = scan.by_ref().try_collect().await.unwrap();
    assert_eq!((scan.total(), rest.len()), (Some(500), 499));
    assert!(first.value == "old" && rest.iter().all(|kv| kv.value == "old" && kv.mod_revision <= pinned));
    let again = all(&client, Scan::all().at(pinned)).await;
    assert_eq!(again.len(), 500);
}

#[tokio::test]
async fn compaction_ends_a_scan_with_an_error_of_its_own_and_nothing_after_it() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k", 500, "v").await;
    // Not by streams: so little would have come in one piece.
    let mut scan = client.scan(Scan::all().page_bytes(100).max_in_flight_bytes(1).way(ScanWay::Pages));
    scan.try_next().await.unwrap().unwrap();
    let newest = client.put("k", "v").await.unwrap().header.revision;
    client.send(Compact::new(newest)).await.unwrap();
    let error = loop {
        match scan.try_next().await {
            Ok(kv) => assert!(kv.is_some(), "the scan ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    assert!(scan.try_next().await.unwrap().is_none(), "a scan is over after its error");
}

#[tokio::test]
async fn answers_beyond_the_usual_four_mebibytes_are_taken() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for number in 0..12 {
        client.put(format!("k{number:02}"), vec![number; 1_500_000]).await.unwrap();
    }
    let kvs = all(&client, Scan::all()).await;
    assert!(kvs.len() == 12 && kvs.iter().all(|kv| kv.value.len() == 1_500_000));
}

#[tokio::test]
async fn an_empty_range_is_an_empty_scan_and_an_impossible_one_an_error() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut scan = client.scan(Scan::all());
    assert!(scan.next_page().await.unwrap().unwrap().kvs.is_empty());
    assert!(scan.next_page().await.unwrap().is_none());
    assert_eq!(scan.revision(), Some(Revision(1)));
    let error = client.scan(KeyRange::between("b", "a")).try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

async fn assert_read_whole(client: &Client, keys: &BTreeSet<Vec<u8>>, range: KeyRange) {
    let expected: Vec<_> = keys.iter().filter(|key| range.contains(key)).collect();
    for page_bytes in [500, 20_000, 2 << 20] {
        let mut scan = client.scan(Scan::new(range.clone()).page_bytes(page_bytes));
        let (mut found, mut left) = (Vec::new(), expected.len() as u64);
        while let Some(page) = scan.next_page().await.unwrap() {
            assert_eq!(page.total, left, "{range}");
            left -= page.kvs.len() as u64;
            found.extend(page.kvs.into_iter().map(|kv| kv.key));
        }
        assert_eq!(scan.total(), Some(expected.len() as u64));
        assert!(found.iter().eq(expected.iter().copied()), "{range}, pages of {page_bytes} bytes");
    }
}

#[tokio::test]
async fn every_version_gives_every_key_of_every_shape_once() {
    let keys = keys_of_many_shapes();
    let mut ran = Vec::new();
    for version in all_versions() {
        if let Err(why) = try_binaries(&version) {
            assert!(std::env::var_os("CI").is_none(), "CI runs every version: {why}");
            continue;
        }
        let server = Server::builder().version(&version).start().await;
        let client = client_of(&server).await;
        write(&client, keys.iter().cloned().collect(), "a value of some length").await;
        let ranges = [
            KeyRange::all(),
            KeyRange::prefix("/registry/"),
            KeyRange::between("/registry/pods/ns-05", "key-3"),
            KeyRange::from_key(&b"key-4"[..]),
            KeyRange::prefix(&b"\xff"[..]),
            KeyRange::key("key-7"),
            KeyRange::prefix("nothing"),
        ];
        for range in ranges {
            assert_read_whole(&client, &keys, range).await;
        }
        ran.push(version);
    }
    assert!(ran.contains(&default_version()), "not even the default version ran");
}

#[tokio::test]
async fn what_is_deleted_and_written_meanwhile_changes_nothing() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let keys = keys_of_many_shapes();
    write(&client, keys.iter().cloned().collect(), "old").await;
    let mut scan = client.scan(Scan::all().page_bytes(5000));
    let first = scan.next_page().await.unwrap().unwrap();
    client.delete(KeyRange::all()).await.unwrap();
    load(&client, "/registry/pods/", 500, "new").await;
    let rest: Vec<_> = scan.try_collect().await.unwrap();
    let found = first.kvs.iter().chain(&rest);
    assert!(found.clone().map(|kv| &kv.key[..]).eq(keys.iter().map(|key| &key[..])));
    assert!(found.clone().all(|kv| kv.value == "old"));
}

#[tokio::test]
async fn a_scan_asks_for_nothing_outside_its_range() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let keys = keys_of_many_shapes();
    write(&client, keys.iter().cloned().collect(), "value").await;
    server.enable_auth("root").await;
    server.add_user("reader", "pass", &[(Permission::Read, "/registry/pods/")]).await;
    client.set_credentials(Credentials::new("reader", "pass"));
    assert_read_whole(&client, &keys, KeyRange::prefix("/registry/pods/")).await;
}
