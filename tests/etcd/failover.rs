//! Many callers at once while members die, stop and come back.

use std::time::Duration;

use etcd_ark::{Client, ErrorKind};
use tokio::time::{sleep, timeout};

use crate::load::{FAST, Load, assert_serves};
use crate::support::{Cluster, clock};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_follower_or_leader_costs_reads_nothing_and_writes_only_the_truth() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leader = cluster.leader().await;
    for victim in [(leader + 1) % 3, leader] {
        let load = Load::start(&client);
        clock::pass(Duration::from_millis(500)).await;
        cluster.member_mut(victim).kill();
        cluster.leader().await;
        clock::pass(Duration::from_secs(1)).await;
        let recovered = clock::now();
        assert_serves(&client).await;
        let (reads, writes) = load.stop().await;
        reads.assert_no_errors();
        writes.assert_few_and_only_ambiguous(1);
        reads.assert_fast_since(recovered);
        cluster.member_mut(victim).restart().await;
        cluster.leader().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_member_is_left_within_a_second_and_used_again_once_it_goes_on() {
    let cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leader = cluster.leader().await;
    // An election takes up to two seconds.
    for (victim, recovery) in [((leader + 1) % 3, 2), (leader, 4)].map(|(n, s)| (n, Duration::from_secs(s))) {
        let load = Load::start(&client);
        clock::pass(Duration::from_millis(500)).await;
        cluster.member(victim).pause();
        clock::pass(recovery).await;
        let settled = clock::now();
        clock::pass(Duration::from_secs(2)).await;
        assert!(!client.health()[victim].serves, "it is still asked");
        cluster.member(victim).resume();
        serves_again(&client, victim).await;
        let (reads, writes) = load.stop().await;
        reads.assert_no_errors();
        writes.assert_few_and_only_ambiguous(1);
        let waits = reads.most_slower_than(FAST);
        assert!(waits <= 1 || victim == leader, "a caller waited {waits} times");
        reads.assert_fast_since(settled);
    }
}

async fn serves_again(client: &Client, member: usize) {
    let back = async {
        while !client.health()[member].serves {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(15), back).await.expect("it is asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_read() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let load = Load::start(&client);
    for member in 0..3 {
        cluster.member_mut(member).restart().await;
        cluster.leader().await;
    }
    let (reads, writes) = load.stop().await;
    reads.assert_no_errors();
    writes.assert_few_and_only_ambiguous(3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_wait_for_a_cluster_that_is_down_and_then_hear_why() {
    let mut cluster = Cluster::start(3).await;
    let builder = Client::builder(cluster.endpoints()).unwrap();
    let patient = builder.clone().request_timeout(Duration::from_secs(30)).connect().await.unwrap();
    let hasty = builder.request_timeout(Duration::from_secs(1)).connect().await.unwrap();
    patient.put("key", "value").await.unwrap();
    for member in 0..3 {
        cluster.member_mut(member).kill();
    }

    let error = hasty.get("key").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline), "{error}");
    assert!(error.attempts() > 3 && error.elapsed() < Some(Duration::from_secs(2)), "{error}");
    let told = error.to_string();
    assert!(cluster.endpoints().iter().all(|endpoint| told.matches(endpoint).count() == 1), "{told}");
    assert!(error.earlier_failures().is_some_and(|earlier| earlier.contains("times)")), "{told}");
    let waiting = tokio::spawn(async move { patient.get("key").await });
    sleep(Duration::from_secs(10)).await;
    for member in 0..3 {
        cluster.member_mut(member).launch();
    }
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().value, "value");
}
