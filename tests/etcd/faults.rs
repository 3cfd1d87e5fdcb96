//! Many callers at once over a network that fails them.

use std::io::{Write, stderr};
use std::time::Duration;

use etcd_ark::Client;
use tokio::task::JoinSet;

use crate::load::{FAST, Load, Outcome, assert_serves};
use crate::support::{Builder, Cluster, Fault, Proxy, Server, clock};

/// When callers must be served as before by members that are well, and by one that is well again.
const RECOVERY: Duration = Duration::from_secs(2);
/// How a connection can be dead without being closed: for ever, or until the network is mended.
#[derive(Debug)]
enum Dead {
    Forgotten,
    Silenced,
}

/// A cluster whose clients come through proxies, one per member.
struct Net {
    cluster: Cluster,
    proxies: Vec<Proxy>,
    client: Client,
}

impl Net {
    async fn start(builder: Builder) -> Self {
        let cluster = builder.start_cluster(3).await;
        let proxies = cluster.client_proxies().await;
        let builder = Client::builder(proxies.iter().map(Proxy::endpoint)).unwrap();
        // Short, so that writes without an answer end during a test.
        let client = builder.request_timeout(Duration::from_secs(4)).connect().await.unwrap();
        Self { cluster, proxies, client }
    }

    fn set_all(&self, fault: Fault) {
        self.proxies.iter().for_each(|proxy| proxy.set(fault));
    }

    /// The member's share of what all members send and get from now on, in percent.
    async fn share(&self, member: usize, during: Duration) -> u64 {
        let bytes = || self.proxies.iter().map(Proxy::bytes).collect::<Vec<_>>();
        let before = bytes();
        clock::pass(during).await;
        let sent: Vec<u64> = bytes().iter().zip(before).map(|(after, before)| after - before).collect();
        sent[member] * 100 / sent.iter().sum::<u64>().max(1)
    }

    /// Waits until the member serves as others do, and tells how long that took.
    async fn used_again(&self, member: usize, limit: Duration) -> Duration {
        let began = clock::now();
        while self.share(member, Duration::from_millis(250)).await < 15 {
            assert!(clock::now() - began < limit, "the member is not used after {limit:?}");
        }
        clock::now() - began
    }
}

/// Not by `eprintln`: what is measured is shown for tests that pass, too.
fn show(what: &str, calls: &Outcome) {
    let line = format!("faults: {what}: {calls}\n");
    stderr().write_all(line.as_bytes()).unwrap();
}

/// One member falls silent in this way under load, then speaks again.
async fn silence_a_member(fault: Fault) {
    let net = Net::start(Cluster::builder()).await;
    let victim = net.cluster.leader().await;
    let load = Load::start(&net.client);
    clock::pass(Duration::from_millis(500)).await;
    net.proxies[victim].set(fault);
    clock::pass(RECOVERY).await;
    let left = clock::now();
    clock::pass(Duration::from_secs(3)).await;
    let (reads, writes) = load.stop().await;
    show(&format!("{fault:?}, reads"), &reads);
    show(&format!("{fault:?}, writes"), &writes);
    reads.assert_no_errors();
    writes.assert_few_and_only_ambiguous(1);
    assert!(writes.errors().count() > 0, "the fault went unnoticed");
    assert!(reads.most_slower_than(FAST) <= 1, "a caller waited {} times", reads.most_slower_than(FAST));
    reads.assert_fast_since(left);

    net.proxies[victim].set(Fault::None);
    let load = Load::start(&net.client);
    net.used_again(victim, Duration::from_secs(5)).await;
    let (reads, writes) = load.stop().await;
    reads.assert_no_errors();
    writes.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_costs_a_reader_one_wait_and_a_writer_the_certainty() {
    silence_a_member(Fault::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_member_costs_a_reader_one_wait_and_a_writer_the_certainty() {
    silence_a_member(Fault::HalfOpen).await;
}

/// Something happens to all connections for a while. Then it is over.
async fn break_connections(what: &str, breaking: impl AsyncFn(&Net)) {
    let net = Net::start(Cluster::builder()).await;
    let load = Load::start(&net.client);
    clock::pass(Duration::from_millis(500)).await;
    let before: u64 = net.proxies.iter().map(Proxy::connections).sum();
    breaking(&net).await;
    let connections = net.proxies.iter().map(Proxy::connections).sum::<u64>() - before;
    assert!(connections > 10, "only {connections} new connections");
    net.set_all(Fault::None);
    clock::pass(RECOVERY).await;
    let over = clock::now();
    assert_serves(&net.client).await;
    let (reads, writes) = load.stop().await;
    show(&format!("{what}, reads"), &reads);
    show(&format!("{what}, writes"), &writes);
    reads.assert_no_errors();
    writes.assert_only_ambiguous();
    reads.assert_fast_since(over);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_reset_time_after_time_fail_no_read() {
    let reset = async |net: &Net| {
        for _ in 0..15 {
            clock::pass(Duration::from_millis(200)).await;
            net.proxies.iter().for_each(Proxy::reset);
        }
    };
    break_connections("reset every 200 ms", reset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_in_the_middle_of_an_answer_fail_no_read() {
    let cut = async |net: &Net| {
        net.set_all(Fault::CutAfter(20_011));
        clock::pass(Duration::from_secs(3)).await;
    };
    break_connections("cut after 20 kB", cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_resets_what_connects_is_left_until_it_accepts_again() {
    let net = Net::start(Cluster::builder()).await;
    let load = Load::start(&net.client);
    clock::pass(Duration::from_millis(500)).await;
    net.proxies[0].set(Fault::Refuse);
    net.proxies[0].reset();
    let before = net.proxies[0].connections();
    clock::pass(RECOVERY).await;
    let left = clock::now();
    let share = net.share(0, Duration::from_secs(2)).await;
    assert!(share < 5, "the member has {share} % of the traffic");
    // By the probes alone.
    let dialled = net.proxies[0].connections() - before;
    assert!((1..20).contains(&dialled), "{dialled} connections");
    assert_serves(&net.client).await;
    net.proxies[0].set(Fault::None);
    let readmitted = net.used_again(0, Duration::from_secs(6)).await;
    let (reads, writes) = load.stop().await;
    show(&format!("refused, readmitted after {readmitted:.1?}, reads"), &reads);
    reads.assert_no_errors();
    writes.assert_few_and_only_ambiguous(1);
    reads.assert_fast_since(left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_a_router_forgot_is_replaced() {
    let net = Net::start(Cluster::builder()).await;
    let load = Load::start(&net.client);
    clock::pass(Duration::from_millis(500)).await;
    net.proxies[0].forget();
    let readmitted = net.used_again(0, Duration::from_secs(4)).await;
    let (reads, writes) = load.stop().await;
    show(&format!("connection forgotten, replaced after {readmitted:.1?}, reads"), &reads);
    reads.assert_no_errors();
    writes.assert_few_and_only_ambiguous(1);
}

/// Where there is no other member, the same one over a new connection has to do.
#[tokio::test]
async fn a_sole_member_whose_connection_is_dead_is_dialled_anew() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let client = Client::connect([proxy.endpoint()]).await.unwrap();
    client.put("key", "value").await.unwrap();
    for dead in [Dead::Forgotten, Dead::Silenced] {
        let before = proxy.connections();
        match dead {
            Dead::Forgotten => proxy.forget(),
            Dead::Silenced => proxy.set(Fault::BlackHole),
        }
        let read = tokio::spawn({
            let client = client.clone();
            async move { client.get("key").await }
        });
        clock::pass(Duration::from_secs(2)).await;
        proxy.set(Fault::None);
        assert_eq!(read.await.unwrap().unwrap().unwrap().value, "value", "{dead:?}");
        assert!(proxy.connections() > before, "{dead:?}: no new connection");
    }
}

/// Also those that are sent there when the first have just been given up, and those that can't go elsewhere.
#[tokio::test]
async fn whoever_waits_at_a_dead_connection_is_told_once_the_member_answers_over_another() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let builder = Client::builder([proxy.endpoint()]).unwrap();
    let client = builder.request_timeout(Duration::from_secs(20)).connect().await.unwrap();
    client.put("key", "value").await.unwrap();
    proxy.forget();
    let began = clock::now();
    let member = client.members().remove(0);
    let status = tokio::spawn(async move { member.status().await.map(drop) });
    let put = tokio::spawn({
        let client = client.clone();
        async move { client.put("key", "value").await }
    });
    let mut reads = JoinSet::new();
    for _ in 0..30 {
        let client = client.clone();
        reads.spawn(async move { client.get("key").await.map(drop) });
        clock::pass(Duration::from_millis(50)).await;
    }
    for outcome in reads.join_all().await.into_iter().chain([status.await.unwrap()]) {
        outcome.unwrap();
    }
    let error = put.await.unwrap().unwrap_err();
    assert!(error.may_have_applied(), "{error}");
    assert!(error.to_string().contains("no answer to a ping"), "{error}");
    // Else they would have waited for their deadlines, or for the next ping and its answer.
    assert!(clock::now() - began < Duration::from_secs(8), "{:?}", clock::now() - began);
}

/// Near members serve, and a far one when they are busy; it is not written off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_member_is_asked_less_until_it_is_near() {
    let net = Net::start(Cluster::builder()).await;
    net.proxies[0].set(Fault::Slow { each_way: Duration::from_millis(50), stall: Duration::ZERO });
    let calls = async || {
        let mut far = 0;
        for _ in 0..100 {
            let began = clock::now();
            net.client.get("key").await.unwrap();
            far += usize::from(clock::now() - began > Duration::from_millis(90));
        }
        far
    };
    calls().await;
    let far = calls().await;
    assert!(far < 15, "{far} of 100 calls went to the far member");
    let seen = net.client.health();
    assert!(seen.iter().all(|seen| seen.serves && seen.in_flight == 0), "{seen:?}");
    assert!(seen[0].distance > seen[1].distance, "{seen:?}");
    net.set_all(Fault::None);
    let load = Load::start(&net.client);
    net.used_again(0, Duration::from_secs(30)).await;
    load.stop().await;
}

/// A member that clients reach but its peers don't can't serve what takes a majority. Callers may find
/// that out once or twice each; then the member gets no requests until it is healed.
async fn cut_off(leader: bool) {
    // 3.4 without it: a member that comes back has the others elect anew.
    let builder = Cluster::builder().flag("--pre-vote", "true");
    let net = Net::start(builder.peer_proxies()).await;
    let victim = (net.cluster.leader().await + usize::from(!leader)) % 3;
    let load = Load::start(&net.client);
    clock::pass(Duration::from_millis(500)).await;
    net.cluster.cut_off(victim).await;
    // An election may be needed.
    clock::pass(Duration::from_secs(3)).await;
    let left = clock::now();
    let share = net.share(victim, Duration::from_secs(2)).await;
    assert!(share < 5, "a member without a majority has {share} % of the traffic");
    net.cluster.heal();
    let readmitted = net.used_again(victim, Duration::from_secs(8)).await;
    let (reads, writes) = load.stop().await;
    let what = if leader { "leader" } else { "follower" };
    show(&format!("{what} cut off, readmitted after {readmitted:.1?}, reads"), &reads);
    show(&format!("{what} cut off, writes"), &writes);
    reads.assert_no_errors();
    writes.assert_only_ambiguous();
    let lost = reads.most_slower_than(FAST);
    assert!((1..=2).contains(&lost), "a caller waited {lost} times");
    reads.assert_fast_since(left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_without_its_peers_is_left_until_it_is_healed() {
    cut_off(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_its_peers_is_left_until_it_is_healed() {
    cut_off(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_and_lossy_network_fails_nothing() {
    let net = Net::start(Cluster::builder()).await;
    let slow = Fault::Slow { each_way: Duration::from_millis(50), stall: Duration::from_millis(200) };
    for (what, slow_ones) in [("one member", &net.proxies[..1]), ("all members", &net.proxies[..])] {
        slow_ones.iter().for_each(|proxy| proxy.set(slow));
        let load = Load::start(&net.client);
        clock::pass(Duration::from_secs(5)).await;
        let (reads, writes) = load.stop().await;
        for (calls, kind) in [(reads, "reads"), (writes, "writes")] {
            show(&format!("50 ms each way and 1 % loss at {what}, 5 s, {kind}"), &calls);
            calls.assert_no_errors();
        }
    }
}

/// Slow is not dead: where nobody is faster there is no use in leaving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_slower_than_the_probes_fails_nothing() {
    let net = Net::start(Cluster::builder()).await;
    net.set_all(Fault::Slow { each_way: Duration::from_millis(500), stall: Duration::ZERO });
    let load = Load::start(&net.client);
    clock::pass(Duration::from_secs(5)).await;
    let (reads, writes) = load.stop().await;
    show("500 ms each way at all members, reads", &reads);
    show("500 ms each way at all members, writes", &writes);
    assert!(reads.len() > 100 && writes.len() > 100);
    reads.assert_no_errors();
    writes.assert_no_errors();
    assert!(reads.slowest() < Duration::from_secs(3), "a read took {:?}", reads.slowest());
}
