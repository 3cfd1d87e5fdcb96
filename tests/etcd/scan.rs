//! Scans: every key once, in order, at one revision.

use etcd_ark::{Client, Compact, ErrorKind, KeyRange, KeyValue, Put, Revision, Scan, Txn};
use futures_util::{StreamExt, TryStreamExt};

use crate::client_of;
use crate::support::Server;

/// Writes `count` keys `{prefix}{number}`, a hundred at a time.
pub(crate) async fn load(client: &Client, prefix: &str, count: usize, value: &str) {
    let keys: Vec<_> = (0..count).map(|number| format!("{prefix}{number:08}")).collect();
    for batch in keys.chunks(100) {
        let puts = batch.iter().map(|key| Put::new(key.clone(), value.to_owned()));
        client.send(puts.fold(Txn::new(), Txn::then)).await.unwrap();
    }
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
    let mut scan = client.scan(Scan::all().page_bytes(100));
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
