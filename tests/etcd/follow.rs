//! Copies of a range, kept by following it.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_ark::{Client, Compact, Event, FollowStream, FollowUpdate, KeyRange, Scan};
use futures_util::TryStreamExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::scan::load;
use crate::support::Server;

const PATIENCE: Duration = Duration::from_secs(30);

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// A copy, and how often it was listed.
#[derive(Default)]
struct Copy {
    keys: Keys,
    list: Keys,
    lists: usize,
}

impl Copy {
    async fn take(&mut self, updates: &mut FollowStream) -> FollowUpdate {
        let update =
            timeout(PATIENCE, updates.try_next()).await.expect("an update in time").unwrap().unwrap();
        match update.clone() {
            FollowUpdate::Begin => self.list.clear(),
            FollowUpdate::Key(kv) => drop(self.list.insert(kv.key.to_vec(), kv.value.to_vec())),
            FollowUpdate::End { .. } => {
                self.keys = std::mem::take(&mut self.list);
                self.lists += 1;
            }
            FollowUpdate::Changes(changes) => changes.events.into_iter().for_each(|event| self.apply(event)),
            other => panic!("{other:?}"),
        }
        update
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Put { kv, .. } => drop(self.keys.insert(kv.key.to_vec(), kv.value.to_vec())),
            event => {
                assert!(self.keys.remove(&event.key()[..]).is_some(), "{event:?} of a key that was not there")
            }
        }
    }

    /// Follows until a key has come that was written last.
    async fn follow_until(&mut self, updates: &mut FollowStream, last: &str) {
        while !self.keys.contains_key(last.as_bytes()) {
            self.take(updates).await;
        }
    }
}

async fn scanned(client: &Client, prefix: &str) -> Keys {
    let kvs: Vec<_> = client.scan(Scan::prefix(prefix.to_owned())).try_collect().await.unwrap();
    kvs.into_iter().map(|kv| (kv.key.to_vec(), kv.value.to_vec())).collect()
}

#[tokio::test]
async fn nothing_is_missed_between_the_list_and_the_changes() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k/", 2000, "old").await;
    let writer = client.clone();
    let writing = tokio::spawn(async move {
        for number in 0..1000 {
            let key = format!("k/{:08}", number * 7919 % 2500);
            if number % 3 == 0 {
                writer.delete(key).await.unwrap();
            } else {
                writer.put(key, number.to_string()).await.unwrap();
            }
        }
        writer.put("k/last", "v").await.unwrap();
    });
    let mut followers = JoinSet::new();
    for _ in 0..10 {
        sleep(Duration::from_millis(20)).await;
        let client = client.clone();
        followers.spawn(async move {
            let (mut copy, mut updates) = (Copy::default(), client.follow(KeyRange::prefix("k/")));
            assert_eq!(copy.take(&mut updates).await, FollowUpdate::Begin);
            copy.follow_until(&mut updates, "k/last").await;
            (copy.lists, copy.keys)
        });
    }
    writing.await.unwrap();
    let expected = (1, scanned(&client, "k/").await);
    for copy in followers.join_all().await {
        assert_eq!(copy, expected);
    }
}

#[tokio::test]
async fn what_was_compacted_before_it_was_told_is_listed_anew() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    load(&client, "k/", 100, "old").await;
    let (mut copy, mut updates) = (Copy::default(), client.namespace("k/").follow(KeyRange::all()));
    while !matches!(copy.take(&mut updates).await, FollowUpdate::End { .. }) {}
    assert_eq!(copy.keys.len(), 100);

    // More than is kept for a consumer that does not take it.
    client.delete(KeyRange::prefix("k/0000005")).await.unwrap();
    for number in 0..60 {
        client.put("k/large", vec![number; 300_000]).await.unwrap();
    }
    client.put("k/gone", "v").await.unwrap();
    let newest = client.delete("k/gone").await.unwrap().header.revision;
    client.send(Compact::new(newest)).await.unwrap();
    client.put("k/last", "v").await.unwrap();

    copy.follow_until(&mut updates, "last").await;
    assert_eq!(copy.lists, 2);
    assert_eq!(copy.keys, scanned(&client.namespace("k/"), "").await);
}

#[tokio::test]
async fn a_follower_outlives_restarts() {
    let mut server = Server::start().await;
    let client = client_of(&server).await;
    let (mut copy, mut updates) = (Copy::default(), client.follow(KeyRange::prefix("k/")));
    for round in 0..3 {
        let last = format!("k/{round}");
        client.put(last.clone(), "v").await.unwrap();
        copy.follow_until(&mut updates, &last).await;
        server.restart().await;
    }
    assert_eq!((copy.lists, copy.keys.len()), (1, 3));
}
