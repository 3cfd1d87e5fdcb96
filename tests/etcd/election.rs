//! Elections: one leader at a time, and all can see which.

use std::time::Duration;

use etcd_ark::{Client, Election, ErrorKind, LeaderStream, LeaseKeeper, Loss, Put, Txn};
use futures_util::TryStreamExt;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::lock::until_queued;
use crate::support::{Cluster, Server};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(60);

async fn lease(client: &Client) -> LeaseKeeper {
    client.grant_lease(30 * SECOND).await.unwrap()
}

/// The value of the next leader that is observed.
async fn next(leaders: &mut LeaderStream) -> Option<String> {
    let next = timeout(SOON, leaders.try_next()).await.expect("a leader is seen").unwrap();
    next.expect("it never ends").map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

fn leads(value: &str) -> Option<String> {
    Some(value.to_owned())
}

async fn leader(election: &Election) -> Option<String> {
    let leader = election.leader().await.unwrap();
    leader.map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

#[tokio::test]
async fn observers_see_every_leader_and_all_that_it_proclaims() {
    for version in ["3.4.23", "3.5.1", "3.7.3"] {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        let election = client.election("chair");
        let mut leaders = election.observe();
        assert_eq!((next(&mut leaders).await, leader(&election).await), (None, None));
        let (one, other) = (lease(&client).await, lease(&client).await);
        let mut first = election.campaign(&one, "one").await.unwrap();
        let waiting = {
            let election = election.clone();
            tokio::spawn(async move { election.campaign(&other, "other").await.unwrap() })
        };
        until_queued(&client, "chair", 2).await;
        first.proclaim("one, again").await.unwrap();
        assert_eq!(leader(&election).await, leads("one, again"));
        let token = first.fencing_token();
        first.resign().await.unwrap();
        let second = timeout(SOON, waiting).await.unwrap().unwrap();
        assert!(second.fencing_token() > token);
        drop(second);
        for expected in [leads("one"), leads("one, again"), leads("other"), None] {
            assert_eq!(next(&mut leaders).await, expected);
        }
    }
}

#[tokio::test]
async fn a_leader_that_is_deposed_hears_of_it_and_can_do_nothing_more() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let election = client.election("chair");
    let lease = lease(&client).await;
    let mut deposed = election.campaign(&lease, "deposed").await.unwrap();
    let write = |guarded: Txn| client.send(guarded.then(Put::new("k", "v")));
    assert!(write(deposed.guarded(Txn::new())).await.unwrap().succeeded && deposed.is_held());
    let lost = deposed.lost();
    client.delete(deposed.key().clone()).await.unwrap();
    assert!(matches!(timeout(SOON, lost).await.unwrap(), Loss::Deleted));
    let error = deposed.proclaim("still me").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    assert!(!write(deposed.guarded(Txn::new())).await.unwrap().succeeded);
    assert_eq!(leader(&election).await, None);
}

#[tokio::test]
async fn a_leader_whose_lease_is_revoked_makes_way() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let election = client.election("chair");
    let (one, other) = (lease(&client).await, lease(&client).await);
    let first = election.campaign(&one, "one").await.unwrap();
    let lost = tokio::spawn(first.lost());
    one.revoke().await.unwrap();
    let second = timeout(SOON, election.campaign(&other, "other")).await.unwrap().unwrap();
    assert!(second.is_held() && !first.is_held());
    timeout(SOON, lost).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_see_every_leader_while_members_die() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let election = client.election("chair");
    let mut leaders = election.observe();
    assert_eq!(next(&mut leaders).await, None);
    let lease = lease(&client).await;
    for round in 0..6 {
        let victim = (cluster.leader().await + round) % 3;
        cluster.member_mut(victim).kill();
        let value = format!("leader {round}");
        let leadership = timeout(SOON, election.campaign(&lease, value)).await.unwrap().unwrap();
        sleep(SECOND).await;
        // In the background, if it takes longer than a call may.
        let _ = leadership.resign().await;
        until_queued(&client, "chair", 0).await;
        cluster.member_mut(victim).restart().await;
    }
    for round in 0..6 {
        assert_eq!(next(&mut leaders).await, leads(&format!("leader {round}")));
        assert_eq!(next(&mut leaders).await, None);
    }
}
