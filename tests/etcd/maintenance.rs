//! What is asked of single members, and alarms.

use std::time::Duration;

use etcd_ark::{
    AlarmKind, Client, Compact, DisarmAlarm, ErrorKind, Get, GrantLease, KeyRange, ListAlarms, Revision,
};

use crate::support::{Cluster, Server};
use crate::{client_of, refusal};

const LONG: Duration = Duration::from_secs(60);
const QUOTA: u64 = 4 << 20;

/// Puts until the database is full.
async fn fill(client: &Client) {
    for _ in 0..100 {
        if let Err(error) = client.put("filling", vec![0; 256 << 10]).await {
            assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::NoSpace, true), "{error}");
            return;
        }
    }
    panic!("the quota is not reached");
}

#[tokio::test]
async fn a_full_database_is_alarmed_mended_and_disarmed() {
    let server = Server::builder().flag("--quota-backend-bytes", &QUOTA.to_string()).start().await;
    let client = client_of(&server).await;
    let member = client.members().remove(0);
    assert_eq!(client.send(ListAlarms::new()).await.unwrap().alarms, []);
    fill(&client).await;
    let alarms = client.send(ListAlarms::new()).await.unwrap().alarms;
    let status = member.status().await.unwrap();
    assert_eq!(alarms.len(), 1);
    assert_eq!((alarms[0].kind, alarms[0].member_id), (AlarmKind::NoSpace, status.header.member_id));
    assert!(status.errors.iter().any(|error| error.contains("NOSPACE")), "{status:?}");
    assert_eq!(client.send(GrantLease::new(LONG)).await.unwrap_err().kind(), ErrorKind::NoSpace);

    let newest = client.delete("filling").await.unwrap().header.revision;
    client.send_within(Compact::new(newest).physical(), LONG).await.unwrap();
    member.defragment(LONG).await.unwrap();
    assert!(member.status().await.unwrap().db_size < status.db_size / 2);
    assert_eq!(client.send(DisarmAlarm::new(alarms[0])).await.unwrap().alarms, alarms);
    client.put("k", "v").await.unwrap();
    assert_eq!(client.send(DisarmAlarm::new(alarms[0])).await.unwrap().alarms, [], "it is disarmed");
}

#[tokio::test]
async fn members_that_hold_the_same_have_the_same_hash() {
    let cluster = Cluster::start(3).await;
    let builder = Client::builder(cluster.endpoints()).unwrap();
    let client = builder.request_timeout(Duration::from_secs(8)).connect().await.unwrap();
    let old = client.put("k", "1").await.unwrap().header.revision;
    let newest = client.put("k", "2").await.unwrap().header.revision;
    let hashes = async |revision: Revision| {
        let mut hashes = Vec::new();
        for member in client.members() {
            // One that lags behind is asked until it is there.
            let hashed = member.hash_kv(revision).await.unwrap();
            assert_eq!(hashed.compact_revision, None);
            assert!(hashed.hash_revision.is_none_or(|hashed| hashed == revision), "{hashed:?}");
            hashes.push(hashed.hash);
        }
        hashes
    };
    let (olds, news) = (hashes(old).await, hashes(newest).await);
    assert!(olds.windows(2).chain(news.windows(2)).all(|pair| pair[0] == pair[1]), "{olds:?} {news:?}");
    assert_ne!(olds[0], news[0]);

    let member = &client.members()[0];
    assert_eq!(member.hash_kv(None).await.unwrap().hash, news[0]);
    assert!(member.hash().await.unwrap().header.member_id != member_of(&client, 1).await);
    client.send(Compact::new(newest)).await.unwrap();
    // Answered once another member has carried it out; whoever reads has caught up.
    member.send(Get::new("k")).await.unwrap();
    let past = member.hash_kv(old).await.unwrap_err();
    assert_eq!(past.kind(), ErrorKind::Compacted, "{past}");
    let newer = client.put("k", "3").await.unwrap().header.revision;
    assert_eq!(member.hash_kv(newer).await.unwrap().compact_revision, Some(newest));
    let future = refusal(async || member.hash_kv(Revision(newer.0 + 100)).await).await;
    assert_eq!(future.kind(), ErrorKind::FutureRevision, "{future}");
}

async fn member_of(client: &Client, index: usize) -> etcd_ark::MemberId {
    client.members()[index].status().await.unwrap().header.member_id
}

#[tokio::test]
async fn a_defragmentation_gives_space_back_and_keeps_the_keys() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for number in 0..40 {
        client.put(format!("k{number}"), vec![0; 256 << 10]).await.unwrap();
    }
    client.put("kept", "v").await.unwrap();
    let deleted = client.delete(KeyRange::between("k0", "k:")).await.unwrap();
    assert_eq!(deleted.deleted, 40);
    client.send_within(Compact::new(deleted.header.revision).physical(), LONG).await.unwrap();
    let member = client.members().remove(0);
    let before = member.status().await.unwrap();
    member.defragment(LONG).await.unwrap();
    let after = member.status().await.unwrap();
    assert!(after.db_size < before.db_size / 2, "{} and then {}", before.db_size, after.db_size);
    assert_eq!(client.get("kept").await.unwrap().unwrap().value, "v");
}
