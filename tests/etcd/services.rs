//! The lock and the election that servers run for clients.

use std::time::Duration;

use etcd_ark::service::{Campaign, Leader, Lock, Proclaim, Resign, Unlock};
use etcd_ark::{Client, Compare, ErrorKind, GrantLease, KeyRange, LeaseId, Put, RevokeLease, Txn};
use futures_util::TryStreamExt;
use tokio::time::sleep;

use crate::client_of;
use crate::support::Server;

const LONG: Duration = Duration::from_secs(60);

async fn lease(client: &Client) -> LeaseId {
    client.send(GrantLease::new(LONG)).await.unwrap().id
}

/// Two clients of one namespace among others, and a lease for each.
async fn two(server: &Server) -> [(Client, LeaseId); 2] {
    let client = client_of(server).await.namespace("app/");
    let leases = (lease(&client).await, lease(&client).await);
    [(client.clone(), leases.0), (client, leases.1)]
}

#[tokio::test]
async fn a_lock_is_held_by_one_and_then_by_the_next() {
    let server = Server::start().await;
    let [(first, first_lease), (second, second_lease)] = two(&server).await;
    let held = first.send(Lock::new("lock", first_lease)).await.unwrap();
    assert_eq!(held.key, format!("lock/{:x}", first_lease.0));
    let guarded = Txn::new().when(Compare::present(held.key.clone())).then(Put::new("guarded", "1"));
    assert!(first.send(guarded.clone()).await.unwrap().succeeded);
    assert_eq!(client_of(&server).await.get("app/guarded").await.unwrap().unwrap().value, "1");

    let waiting =
        tokio::spawn(async move { second.send_within(Lock::new("lock", second_lease), LONG).await });
    sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "two hold the lock");
    first.send(Unlock::new(held.key)).await.unwrap();
    let next = waiting.await.unwrap().unwrap();
    assert_eq!(next.key, format!("lock/{:x}", second_lease.0));
    assert!(!first.send(guarded).await.unwrap().succeeded);
}

#[tokio::test]
async fn whoever_gives_up_waiting_leaves_the_queue() {
    let server = Server::start().await;
    let [(first, first_lease), (second, second_lease)] = two(&server).await;
    let held = first.send(Lock::new("lock", first_lease)).await.unwrap();
    let error =
        second.send_within(Lock::new("lock", second_lease), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Deadline, true), "{error}");
    second.send(RevokeLease::new(second_lease)).await.unwrap();
    let third = lease(&first).await;
    first.send(Unlock::new(held.key)).await.unwrap();
    first.send(Lock::new("lock", third)).await.unwrap();
}

#[tokio::test]
async fn an_election_is_won_proclaimed_and_resigned() {
    let server = Server::start().await;
    let [(first, first_lease), (second, second_lease)] = two(&server).await;
    let nobody = first.send(Leader::new("election")).await.unwrap_err();
    assert_eq!((nobody.kind(), nobody.may_have_applied()), (ErrorKind::NotFound, false), "{nobody}");

    let won = first.send(Campaign::new("election", first_lease, "one")).await.unwrap().leader;
    assert_eq!((&won.name[..], won.lease), (&b"election"[..], first_lease));
    let leads = async || first.send(Leader::new("election")).await.unwrap().kv;
    let leader = leads().await;
    assert_eq!(
        (leader.key, leader.value, leader.create_revision),
        (won.key.clone(), "one".into(), won.revision)
    );
    first.send(Proclaim::new(won.clone(), "uno")).await.unwrap();
    assert_eq!(leads().await.value, "uno");

    let campaign = Campaign::new("election", second_lease, "two");
    let waiting = tokio::spawn(async move { second.send_within(campaign, LONG).await });
    sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "two lead");
    first.send(Resign::new(won.clone())).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(leads().await.value, "two");
    let lost = first.send(Proclaim::new(won.clone(), "me")).await.unwrap_err();
    assert_eq!((lost.kind(), lost.may_have_applied()), (ErrorKind::NotFound, false), "{lost}");
    first.send(Resign::new(won)).await.unwrap();
    assert_eq!(leads().await.value, "two", "resigning twice ends nobody else's leadership");
}

/// The servers' own stream of leaders ends whenever its member does: the client's takes its place.
#[tokio::test]
async fn the_leaders_of_the_servers_election_are_observed_by_the_client() {
    let server = Server::start().await;
    let [(first, first_lease), (second, second_lease)] = two(&server).await;
    let mut leaders = second.election("election").observe();
    let mut next = async || leaders.try_next().await.unwrap().unwrap().map(|kv| kv.value);
    assert_eq!(next().await, None);
    let won = first.send(Campaign::new("election", first_lease, "one")).await.unwrap().leader;
    assert_eq!(next().await, Some("one".into()));
    first.send(Proclaim::new(won.clone(), "uno")).await.unwrap();
    assert_eq!(next().await, Some("uno".into()));
    first.send(Resign::new(won)).await.unwrap();
    assert_eq!(next().await, None);
    second.send(Campaign::new("election", second_lease, "two")).await.unwrap();
    assert_eq!(next().await, Some("two".into()));
}

#[tokio::test]
async fn without_a_lease_or_with_an_unknown_one_there_is_nothing_to_win() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for lease in [LeaseId(0), LeaseId(4711)] {
        let expected = if lease.0 == 0 { ErrorKind::Config } else { ErrorKind::NotFound };
        let lock = client.send(Lock::new("lock", lease)).await.unwrap_err();
        let campaign = client.send(Campaign::new("election", lease, "v")).await.unwrap_err();
        assert_eq!((lock.kind(), campaign.kind()), (expected, expected), "{lock}; {campaign}");
    }
    assert_eq!(client.delete(KeyRange::all()).await.unwrap().deleted, 0);
}
