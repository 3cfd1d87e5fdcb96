//! Many callers at once while members die, stop and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use etcd_ark::{Client, Error, ErrorKind};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::Cluster;

const CALLERS: usize = 64;

/// What the callers of one kind went through.
#[derive(Default)]
struct Outcome {
    slowest: Duration,
    calls: usize,
    errors: Vec<Error>,
    /// When each call ended, and how long it took.
    latencies: Vec<(Instant, Duration)>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.slowest = self.slowest.max(other.slowest);
        self.calls += other.calls;
        self.errors.extend(other.errors);
        self.latencies.extend(other.latencies);
    }

    /// The 99th percentile of the calls that ended after this.
    fn p99_since(&self, since: Instant) -> Duration {
        let mut recent: Vec<_> =
            self.latencies.iter().filter(|(at, _)| *at > since).map(|(_, took)| *took).collect();
        assert!(recent.len() > 100, "only {} calls since", recent.len());
        recent.sort();
        recent[recent.len() * 99 / 100]
    }
}

/// Callers that read and callers that write, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    readers: JoinSet<Outcome>,
    writers: JoinSet<Outcome>,
}

impl Load {
    fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
        for number in 0..CALLERS {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            if number % 2 == 0 {
                readers.spawn(call_until(stop, async move || client.get("key").await.map(drop)));
            } else {
                writers.spawn(call_until(stop, async move || client.put("key", "value").await.map(drop)));
            }
        }
        Self { stop, readers, writers }
    }

    /// What the readers and the writers went through.
    async fn stop(self) -> (Outcome, Outcome) {
        self.stop.store(true, Ordering::Relaxed);
        (total(self.readers).await, total(self.writers).await)
    }
}

async fn total(callers: JoinSet<Outcome>) -> Outcome {
    let outcomes = callers.join_all().await;
    outcomes.into_iter().fold(Outcome::default(), |mut all, one| {
        all.add(one);
        all
    })
}

async fn call_until(stop: Arc<AtomicBool>, call: impl AsyncFn() -> Result<(), Error>) -> Outcome {
    let mut outcome = Outcome::default();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        outcome.errors.extend(call().await.err());
        let took = began.elapsed();
        outcome.calls += 1;
        outcome.slowest = outcome.slowest.max(took);
        outcome.latencies.push((Instant::now(), took));
        sleep(Duration::from_millis(2)).await;
    }
    outcome
}

fn assert_no_errors(outcome: &Outcome) {
    assert!(
        outcome.errors.is_empty(),
        "{} of {}: {}",
        outcome.errors.len(),
        outcome.calls,
        outcome.errors[0]
    );
}

/// A write may fail only by saying that nobody knows whether it was carried out.
fn assert_only_ambiguous(outcome: &Outcome) {
    let untrue = outcome.errors.iter().find(|error| !error.may_have_applied());
    assert!(untrue.is_none(), "{untrue:?}");
    assert!(outcome.errors.len() <= CALLERS, "{} of {} writes failed", outcome.errors.len(), outcome.calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_follower_or_leader_costs_reads_nothing_and_writes_only_the_truth() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let leader = cluster.leader().await;
    for victim in [(leader + 1) % 3, leader] {
        let load = Load::start(&client);
        sleep(Duration::from_millis(500)).await;
        cluster.member_mut(victim).kill();
        sleep(Duration::from_secs(4)).await;
        let (reads, writes) = load.stop().await;
        assert_no_errors(&reads);
        assert_only_ambiguous(&writes);
        cluster.member_mut(victim).restart().await;
        cluster.leader().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_follower_is_left_within_a_second_and_used_again_once_it_goes_on() {
    let cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let follower = (cluster.leader().await + 1) % 3;
    let load = Load::start(&client);
    sleep(Duration::from_millis(500)).await;
    cluster.member(follower).pause();
    sleep(Duration::from_secs(2)).await;
    let settled = Instant::now();
    sleep(Duration::from_secs(2)).await;
    cluster.member(follower).resume();
    let (reads, writes) = load.stop().await;
    assert_no_errors(&reads);
    assert_only_ambiguous(&writes);
    let p99 = reads.p99_since(settled);
    assert!(p99 < Duration::from_millis(200), "reads are still slow: {p99:?}");
    assert!(reads.slowest < Duration::from_secs(3), "a read took {:?}", reads.slowest);

    let back = async {
        let member = client.members().swap_remove(follower);
        while member.status().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), back).await.expect("the member answers again");
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
    assert_no_errors(&reads);
    assert_only_ambiguous(&writes);
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
    let waiting = tokio::spawn(async move { patient.get("key").await });
    sleep(Duration::from_secs(3)).await;
    for member in 0..3 {
        cluster.member_mut(member).launch();
    }
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().value, "value");
}
