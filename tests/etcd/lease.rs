//! Leases: kept through whatever leaves a majority, and lost only with a word, in time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use etcd_ark::{
    Client, Credentials, ErrorKind, Get, KeyRange, LeaseId, LeaseKeeper, LeaseLost, LeaseTimeToLive, Put,
    RevokeLease,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Builder, Cluster, Fault, Permission, Proxy, Server};
use crate::tokens::jwt;

const SECOND: Duration = Duration::from_secs(1);
/// Far more than anything takes here that is told at once.
const SOON: Duration = Duration::from_secs(5);

async fn exists(client: &Client, id: LeaseId) -> bool {
    client.send(LeaseTimeToLive::new(id)).await.unwrap().lease.is_some()
}

#[tokio::test]
async fn a_lease_lives_while_it_is_kept_and_no_longer() {
    for version in ["3.4.23", "3.5.1", "3.7.3"] {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        // That others are kept changes nothing.
        let _other = client.grant_lease(60 * SECOND).await.unwrap();
        let lease = client.grant_lease(2 * SECOND).await.unwrap();
        let id = lease.id();
        client.send(Put::new("k", "v").lease(id)).await.unwrap();
        sleep(7 * SECOND).await;
        assert!(lease.is_held() && lease.remaining() > Duration::ZERO && lease.ttl() == 2 * SECOND);
        assert!(client.get("k").await.unwrap().is_some());
        let lost = lease.lost();
        drop(lease);
        assert!(matches!(timeout(SOON, lost).await.unwrap(), LeaseLost::Expired { .. }));
        sleep(5 * SECOND).await;
        assert!(client.get("k").await.unwrap().is_none() && !exists(&client, id).await);
    }
}

#[tokio::test]
async fn a_lease_that_exists_is_taken_over_and_may_have_many_keepers() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let id = LeaseId(i64::from_str_radix(grant_by_tool(&server, 3).await.as_str(), 16).unwrap());
    let (one, other) = (client.keep_lease(id).await.unwrap(), client.keep_lease(id).await.unwrap());
    assert_eq!((one.id(), one.ttl(), other.ttl()), (id, 3 * SECOND, 3 * SECOND));
    drop(one);
    sleep(6 * SECOND).await;
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
    let lease = client.grant_lease(6 * SECOND).await.unwrap();
    client.send(RevokeLease::new(lease.id())).await.unwrap();
    assert!(matches!(timeout(4 * SECOND, lease.lost()).await.unwrap(), LeaseLost::Gone));
    assert!(!lease.is_held() && lease.remaining().is_zero());
}

#[tokio::test]
async fn the_task_and_its_streams_end_with_the_last_keeper() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..2 {
        let leases = grant(&client, 20, 3 * SECOND).await;
        sleep(2 * SECOND).await;
        assert!(tasks() > before + 8, "{} tasks", tasks());
        drop(leases);
        let ended = async {
            while tasks() > before {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, ended).await.expect("what was begun for leases ends with them");
    }
}

/// Leases with a key each, `leases/{number}`.
async fn grant(client: &Client, count: usize, ttl: Duration) -> Vec<LeaseKeeper> {
    let grant = |number| async move {
        let lease = client.grant_lease(ttl).await?;
        client.send(Put::new(format!("leases/{number}"), "held").lease(lease.id())).await?;
        Ok::<_, etcd_ark::Error>(lease)
    };
    stream::iter(0..count).map(grant).buffered(64).try_collect().await.unwrap()
}

async fn count(client: &Client) -> u64 {
    client.send(Get::new(KeyRange::prefix("leases/")).count_only()).await.unwrap().count
}

fn assert_all_held(leases: &[LeaseKeeper], after: &str) {
    let lost = leases.iter().filter(|lease| !lease.is_held()).count();
    assert_eq!(lost, 0, "so many of {} were lost, after {after}", leases.len());
}

/// A thousand leases, held through the loss of each kind of member in each way.
async fn none_is_lost_while_a_majority_lives(version: &str) {
    let mut cluster = Cluster::builder().version(version).peer_proxies().start_cluster(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leases = grant(&client, 1000, 12 * SECOND).await;
    for leads in [true, false] {
        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.member_mut(victim).kill();
        sleep(8 * SECOND).await;
        cluster.member_mut(victim).restart().await;
        assert_all_held(&leases, "a death");

        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.member(victim).pause();
        sleep(8 * SECOND).await;
        cluster.member(victim).resume();
        assert_all_held(&leases, "a pause");

        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.cut_off(victim).await;
        sleep(8 * SECOND).await;
        cluster.heal();
        assert_all_held(&leases, "a parting");
    }
    sleep(6 * SECOND).await;
    assert_all_held(&leases, "it all");
    assert_eq!(count(&client).await, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_leases_survive_the_loss_of_any_member_of_3_4() {
    none_is_lost_while_a_majority_lives("3.4.23").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_leases_survive_the_loss_of_any_member_of_3_5() {
    none_is_lost_while_a_majority_lives("3.5.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_leases_survive_the_loss_of_any_member_of_3_7() {
    none_is_lost_while_a_majority_lives("3.7.3").await;
}

/// When each lease's loss was told, by its key.
async fn told(leases: &[LeaseKeeper]) -> HashMap<String, Instant> {
    let mut losses = JoinSet::new();
    for (number, lease) in leases.iter().enumerate() {
        let lost = lease.lost();
        losses.spawn(async move {
            lost.await;
            (format!("leases/{number}"), Instant::now())
        });
    }
    losses.join_all().await.into_iter().collect()
}

/// Since when at the earliest each key has been gone, until all are.
async fn gone(client: &Client) -> HashMap<String, Instant> {
    let (mut present, mut gone) = (Vec::new(), HashMap::new());
    let mut looked = Instant::now();
    loop {
        let began = Instant::now();
        let found = client.send(Get::new(KeyRange::prefix("leases/")).keys_only()).await;
        let Ok(found) = found else { continue };
        let keys: Vec<_> = found.kvs.iter().map(|kv| String::from_utf8(kv.key.to_vec()).unwrap()).collect();
        gone.extend(
            present.iter().filter(|key| !keys.contains(key)).map(|key: &String| (key.clone(), looked)),
        );
        if keys.is_empty() {
            return gone;
        }
        (present, looked) = (keys, began);
        sleep(Duration::from_millis(20)).await;
    }
}

fn assert_told_before_gone(told: &HashMap<String, Instant>, gone: &HashMap<String, Instant>) {
    assert_eq!(told.len(), gone.len());
    for (key, gone) in gone {
        assert!(told[key] < *gone, "{key} was gone {:?} before its holder knew", told[key] - *gone);
    }
}

/// The holders' side of the network dies, and the cluster gives their keys away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_who_are_cut_off_hear_of_it_before_their_keys_go() {
    for version in ["3.4.23", "3.5.1", "3.7.3"] {
        let cluster = Cluster::builder().version(version).start_cluster(3).await;
        let proxies = cluster.client_proxies().await;
        let holder = Client::connect(proxies.iter().map(Proxy::endpoint)).await.unwrap();
        let observer = Client::connect(cluster.endpoints()).await.unwrap();
        let leases = grant(&holder, 200, 5 * SECOND).await;
        sleep(6 * SECOND).await;
        assert_all_held(&leases, "some time");
        proxies.iter().for_each(|proxy| proxy.set(Fault::BlackHole));
        let (told, gone) = tokio::join!(told(&leases), gone(&observer));
        assert_told_before_gone(&told, &gone);
    }
}

/// A leader that has lost its peers goes on to renew for a while, and knows of no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_at_a_leader_that_is_cut_off_hear_of_it_before_their_keys_go() {
    for version in ["3.4.23", "3.5.1", "3.7.3"] {
        let cluster = Cluster::builder().version(version).peer_proxies().start_cluster(3).await;
        let leader = cluster.leader().await;
        let holder = client_of(cluster.member(leader)).await;
        let observer = Client::connect(cluster.endpoints()).await.unwrap();
        let leases = grant(&holder, 200, 5 * SECOND).await;
        cluster.cut_off(leader).await;
        let (told, gone) = tokio::join!(told(&leases), gone(&observer));
        assert_told_before_gone(&told, &gone);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_every_loss_is_told() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leases = grant(&client, 100, 5 * SECOND).await;
    (0..2).for_each(|member| cluster.member_mut(member).kill());
    // A leader that has lost the others renews until it notices that.
    let told = timeout(10 * SECOND, told(&leases)).await.expect("by our own clock");
    assert_eq!(told.len(), 100);
    assert!(leases.iter().all(|lease| !lease.is_held()));
    (0..2).for_each(|member| cluster.member_mut(member).launch());
    sleep(2 * SECOND).await;
    assert!(leases.iter().all(|lease| !lease.is_held()), "what was lost stays lost");
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
        let leases = grant(&client, 50, 5 * SECOND).await;
        sleep(6 * SECOND).await;
        server.add_user("another", "pass", &[]).await;
        sleep(6 * SECOND).await;
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
    let leases = grant(&client, 50, 5 * SECOND).await;
    let refused = client.grant_lease(20 * SECOND).await.unwrap();
    server.etcdctl(&["put", "foreign", "v", &format!("--lease={}", refused.id())]).await;
    let lost = timeout(25 * SECOND, refused.lost()).await.unwrap();
    let LeaseLost::Expired { last_failure: Some(failure) } = lost else { panic!("{lost}") };
    assert_eq!(failure.kind(), ErrorKind::PermissionDenied, "{failure}");
    assert_all_held(&leases, "that of another");

    let error = client.keep_lease(refused.id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}
