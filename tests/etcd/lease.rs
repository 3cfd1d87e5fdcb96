//! Leases: kept through whatever leaves a majority, and lost only with a word, in time.

use std::time::Duration;

use etcd_ark::{
    Client, Credentials, ErrorKind, Get, KeyRange, LeaseId, LeaseKeeper, LeaseLost, LeaseTimeToLive, Put,
    RevokeLease,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Builder, Permission, Server};
use crate::tokens::jwt;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Far more than anything takes here that is told at once.
const SOON: Duration = Duration::from_secs(30);
/// Renewed at a third of it, a lease outlives a machine that stands still for seconds.
const TTL: Duration = Duration::from_secs(12);

async fn exists(client: &Client, id: LeaseId) -> bool {
    client.send(LeaseTimeToLive::new(id)).await.unwrap().lease.is_some()
}

#[tokio::test]
async fn a_lease_lives_while_it_is_kept_and_no_longer() {
    tokio::join!(
        lives_while_it_is_kept("3.4.23"),
        lives_while_it_is_kept("3.5.1"),
        lives_while_it_is_kept("3.7.3")
    );
}

async fn lives_while_it_is_kept(version: &str) {
    let server = Server::builder().version(version).start().await;
    let client = client_of(&server).await;
    // That others are kept changes nothing.
    let _other = client.grant_lease(60 * SECOND).await.unwrap();
    let lease = client.grant_lease(TTL).await.unwrap();
    let id = lease.id();
    client.send(Put::new("k", "v").lease(id)).await.unwrap();
    sleep(TTL + 5 * SECOND).await;
    assert!(lease.is_held() && lease.remaining() > Duration::ZERO && lease.ttl() == TTL);
    assert!(client.get("k").await.unwrap().is_some());
    let lost = lease.lost();
    drop(lease);
    assert!(matches!(timeout(TTL + SOON, lost).await.unwrap(), LeaseLost::Expired { .. }));
    let gone = async {
        while exists(&client, id).await {
            sleep(SECOND / 10).await;
        }
    };
    timeout(SOON, gone).await.expect("nobody keeps it");
    assert!(client.get("k").await.unwrap().is_none());
}

#[tokio::test]
async fn a_lease_that_exists_is_taken_over_and_may_have_many_keepers() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let id = LeaseId(i64::from_str_radix(grant_by_tool(&server, 12).await.as_str(), 16).unwrap());
    let (one, other) = (client.keep_lease(id).await.unwrap(), client.keep_lease(id).await.unwrap());
    assert_eq!((one.id(), one.ttl(), other.ttl()), (id, TTL, TTL));
    drop(one);
    sleep(TTL + 5 * SECOND).await;
    assert!(other.is_held() && exists(&client, id).await);
    let error = client.keep_lease(LeaseId(12345)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

async fn grant_by_tool(server: &Server, ttl: u32) -> String {
    let told = server.etcdctl(&["lease", "grant", &ttl.to_string()]).await;
    told.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn revoking_a_lease_ends_it_for_all_its_keepers() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = client.grant_lease(60 * SECOND).await.unwrap();
    let other = client.keep_lease(lease.id()).await.unwrap();
    client.send(Put::new("k", "v").lease(lease.id())).await.unwrap();
    let lost = lease.lost();
    lease.revoke().await.unwrap();
    assert!(matches!(timeout(SOON, lost).await.unwrap(), LeaseLost::Gone));
    assert!(client.get("k").await.unwrap().is_none());
    other.revoke().await.expect("gone already is as good");
}

#[tokio::test]
async fn a_lease_that_is_revoked_by_hand_is_told_with_its_next_renewal() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = client.grant_lease(TTL).await.unwrap();
    client.send(RevokeLease::new(lease.id())).await.unwrap();
    // Without its renewal it would expire.
    assert!(matches!(timeout(SOON, lease.lost()).await.unwrap(), LeaseLost::Gone));
    assert!(!lease.is_held() && lease.remaining().is_zero());
}

#[tokio::test]
async fn the_task_and_its_streams_end_with_the_last_keeper() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..2 {
        let leases = grant(&client, 20, TTL).await;
        let until = async |reached: &dyn Fn(usize) -> bool| {
            while !reached(tasks()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, until(&|tasks| tasks > before + 8)).await.expect("the first renewals begin streams");
        drop(leases);
        timeout(SOON, until(&|tasks| tasks <= before))
            .await
            .expect("what was begun for leases ends with them");
    }
}

/// Leases with a key each, `leases/{number}`.
pub(crate) async fn grant(client: &Client, count: usize, ttl: Duration) -> Vec<LeaseKeeper> {
    let grant = |number| async move {
        let lease = client.grant_lease(ttl).await?;
        client.send(Put::new(format!("leases/{number}"), "held").lease(lease.id())).await?;
        Ok::<_, etcd_ark::Error>(lease)
    };
    stream::iter(0..count).map(grant).buffered(64).try_collect().await.unwrap()
}

pub(crate) async fn count(client: &Client) -> u64 {
    client.send(Get::new(KeyRange::prefix("leases/")).count_only()).await.unwrap().count
}

pub(crate) fn assert_all_held(leases: &[LeaseKeeper], after: &str) {
    let lost: Vec<_> = leases.iter().filter_map(|lease| lease.lost().now_or_never()).collect();
    assert!(lost.is_empty(), "{} of {} were lost, after {after}: {:?}", lost.len(), leases.len(), lost[0]);
}

async fn user(server: &Server, name: &str) -> Client {
    let builder = Client::builder([server.endpoint()]).unwrap();
    builder.credentials(Credentials::new(name, "pass")).connect().await.unwrap()
}

fn short_jwt(folder: &TempDir) -> Builder {
    jwt(folder.path(), "3s")
}

#[tokio::test]
async fn tokens_that_run_out_and_users_that_change_cost_no_lease() {
    let folder = TempDir::new().unwrap();
    for builder in [short_jwt(&folder), Server::builder().flag("--auth-token-ttl", "1")] {
        let server = builder.start().await;
        server.enable_auth("secret").await;
        server.add_user("app", "pass", &[(Permission::ReadWrite, "leases/")]).await;
        let client = user(&server, "app").await;
        let leases = grant(&client, 50, TTL).await;
        sleep(8 * SECOND).await;
        server.add_user("another", "pass", &[]).await;
        sleep(TTL).await;
        assert_all_held(&leases, "several tokens");
        assert_eq!(count(&client).await, 50);
    }
}

/// One lease may not be renewed by its user, and ends each stream that it is asked over. Earlier servers let
/// everybody renew.
#[tokio::test]
async fn a_lease_that_is_refused_loses_no_other() {
    let server = Server::builder().version("3.7.3").start().await;
    server.enable_auth("secret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "leases/")]).await;
    let client = user(&server, "app").await;
    let leases = grant(&client, 50, TTL).await;
    let refused = client.grant_lease(2 * TTL).await.unwrap();
    server.etcdctl(&["put", "foreign", "v", &format!("--lease={}", refused.id())]).await;
    let error = user(&server, "app").await.keep_lease(refused.id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let lost = timeout(2 * TTL + SOON, refused.lost()).await.unwrap();
    let LeaseLost::Expired { last_failure: Some(failure) } = lost else { panic!("{lost}") };
    assert_eq!(failure.kind(), ErrorKind::PermissionDenied, "{failure}");
    assert_all_held(&leases, "that of another");
}
