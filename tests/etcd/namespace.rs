//! Clients that see a part of the keyspace only.

use etcd_ark::backup::{ArchiveFile, Backup, Restore, RestoreMode};
use etcd_ark::{Client, Compare, Delete, Get, KeyRange, KeyValue, OperationResult, Put, Relation, Scan, Txn};
use futures_util::TryStreamExt;

use crate::client_of;
use crate::scan::load;
use crate::support::Server;

fn names(kvs: &[KeyValue]) -> Vec<&str> {
    kvs.iter().map(|kv| std::str::from_utf8(&kv.key).unwrap()).collect()
}

async fn all(client: &Client) -> Vec<KeyValue> {
    client.send(Get::new(KeyRange::all())).await.unwrap().kvs
}

/// Neighbours that a range which reaches out would meet: the prefix itself, one before, one behind.
async fn client_among_neighbours(server: &Server) -> Client {
    let client = client_of(server).await;
    for key in ["a", "a.", "a/", "a0", "b"] {
        client.put(key, "foreign").await.unwrap();
    }
    client
}

#[tokio::test]
async fn keys_are_written_and_read_by_their_names_within() {
    let server = Server::start().await;
    let client = client_among_neighbours(&server).await;
    let within = client.namespace("a/");
    within.put("k1", "1").await.unwrap();
    within.put("k2", "2").await.unwrap();

    assert_eq!(within.get("k1").await.unwrap().unwrap().key, "k1");
    assert_eq!(client.get("a/k1").await.unwrap().unwrap().value, "1");
    let previous = within.send(Put::new("k1", "3").return_previous()).await.unwrap().previous.unwrap();
    assert_eq!((&previous.key[..], &previous.value[..]), (&b"k1"[..], &b"1"[..]));
    assert_eq!(names(&all(&within).await), ["k1", "k2"]);
    let from = within.send(Get::new(KeyRange::from_key("k2"))).await.unwrap();
    assert_eq!((names(&from.kvs), from.count), (vec!["k2"], 1));

    let deleted = within.send(Delete::new(KeyRange::all()).return_previous()).await.unwrap();
    assert_eq!((names(&deleted.previous), deleted.deleted), (vec!["k1", "k2"], 2));
    assert_eq!(all(&client).await.len(), 5, "the neighbours are there as they were");
}

#[tokio::test]
async fn transactions_compare_and_write_within() {
    let server = Server::start().await;
    let client = client_among_neighbours(&server).await;
    let within = client.namespace("a").namespace("/");
    client.put("k", "foreign").await.unwrap();

    let create = || {
        Txn::new()
            .when(Compare::absent("k"))
            .then(Put::new("k", "own").return_previous())
            .then(Get::new(KeyRange::all()))
            .otherwise(Delete::new("k").return_previous())
    };
    let created = within.send(create()).await.unwrap();
    let [OperationResult::Put(put), OperationResult::Get(got)] = &created.responses[..] else {
        panic!("{created:?}")
    };
    assert_eq!((&put.previous, names(&got.kvs)), (&None, vec!["k"]));
    assert_eq!(client.get("a/k").await.unwrap().unwrap().value, "own");

    let owned = Txn::new().when(Compare::value("k", Relation::Equal, "own")).then(Get::new("k"));
    assert!(within.send(owned).await.unwrap().succeeded);
    let removed = within.send(create()).await.unwrap();
    let [OperationResult::Delete(delete)] = &removed.responses[..] else { panic!("{removed:?}") };
    assert_eq!(names(&delete.previous), ["k"]);
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "foreign");
}

#[tokio::test]
async fn scans_backups_and_restores_have_the_names_within() {
    let server = Server::start().await;
    let client = client_among_neighbours(&server).await;
    let (old, new) = (client.namespace("a/"), client.namespace("\u{7f}new/"));
    load(&old, "k", 500, "value").await;
    let scanned: Vec<_> = old.scan(Scan::all().page_bytes(100)).try_collect().await.unwrap();
    assert!(scanned.len() == 500 && names(&scanned)[..2] == ["k00000000", "k00000001"]);

    let folder = tempfile::tempdir().unwrap();
    let before = Backup::new().save(&old, folder.path().join("old.ark")).await.unwrap();
    let mut archive = ArchiveFile::open(folder.path().join("old.ark")).await.unwrap();
    let restored =
        Restore::new(RestoreMode::Refuse).plan(&new, &mut archive).await.unwrap().apply().await.unwrap();
    assert_eq!((before.summary.records, restored.written), (500, 500));
    let after = Backup::new().save(&new, folder.path().join("new.ark")).await.unwrap();
    assert_eq!(before.summary.content_root, after.summary.content_root);
    assert!(client.get("\u{7f}new/k00000499").await.unwrap().is_some());
    assert_eq!(all(&client).await.len(), 1005);
}
