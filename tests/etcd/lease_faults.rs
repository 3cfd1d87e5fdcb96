//! Leases in clusters that fail: none is lost while a majority lives, and a loss is told before the keys go.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use etcd_ark::{Client, Get, KeyRange, LeaseKeeper};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::lease::{SECOND, assert_all_held, count, grant};
use crate::support::{Cluster, Fault, Proxy, clock};

/// Shorter than what a lease has left when it is renewed, at a third of its time: a member that stood still for longer
/// revokes, before it notices that it is no leader any more, what others have renewed (etcd's issue 15247). Five seconds
/// shorter, for machines that stand still themselves.
const OUTAGE: Duration = Duration::from_secs(7);
const TTL: Duration = Duration::from_secs(18);

/// A thousand leases, held through the loss of each kind of member in each way.
async fn none_is_lost_while_a_majority_lives(version: &str) {
    let mut cluster = Cluster::builder().version(version).peer_proxies().start_cluster(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leases = grant(&client, 1000, TTL).await;
    for leads in [true, false] {
        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.member_mut(victim).kill();
        sleep(OUTAGE).await;
        cluster.member_mut(victim).restart().await;
        assert_all_held(&leases, "a death");

        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.member(victim).pause();
        sleep(OUTAGE).await;
        cluster.member(victim).resume();
        assert_all_held(&leases, "a pause");

        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.cut_off(victim).await;
        sleep(OUTAGE).await;
        cluster.heal();
        assert_all_held(&leases, "a parting");
    }
    sleep(TTL / 2).await;
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

async fn assert_told_before_gone(leases: &[LeaseKeeper], observer: &Client) {
    let (began, at_work) = (Instant::now(), clock::now());
    let (told, gone) = tokio::join!(told(leases), gone(observer));
    assert_eq!(told.len(), gone.len());
    // A machine that stands still tells nobody anything.
    let stood_still = began.elapsed().saturating_sub(clock::now() - at_work);
    for (key, gone) in gone {
        let late = told[&key].saturating_duration_since(gone);
        assert!(
            late <= stood_still,
            "{key} was gone {late:?} before its holder knew, who stood still {stood_still:?}"
        );
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
        let leases = grant(&holder, 200, 10 * SECOND).await;
        sleep(12 * SECOND).await;
        assert_all_held(&leases, "some time");
        proxies.iter().for_each(|proxy| proxy.set(Fault::BlackHole));
        assert_told_before_gone(&leases, &observer).await;
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
        assert_told_before_gone(&leases, &observer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_every_loss_is_told() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leases = grant(&client, 100, 5 * SECOND).await;
    (0..2).for_each(|member| cluster.member_mut(member).kill());
    // A leader that has lost the others renews until it notices that.
    let told = timeout(30 * SECOND, told(&leases)).await.expect("by our own clock");
    assert_eq!(told.len(), 100);
    assert!(leases.iter().all(|lease| !lease.is_held()));
    (0..2).for_each(|member| cluster.member_mut(member).launch());
    sleep(2 * SECOND).await;
    assert!(leases.iter().all(|lease| !lease.is_held()), "what was lost stays lost");
}
