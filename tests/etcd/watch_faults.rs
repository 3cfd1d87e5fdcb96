//! Watches while members die, stop and come back. They are told of it by their own streams alone: who writes
//! is another client.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use etcd_ark::{Client, Compact, Compare, ErrorKind, KeyRange, Put, Txn, Watch, WatchStream};
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Cluster, Fault, Proxy, Server, clock};
use crate::watch::{PATIENCE, VERSIONS, changes, end, shown};

/// When a watch must have gone on elsewhere, on a machine that is busy, by [`clock`].
const MOVED: Duration = Duration::from_secs(12);
/// Between two resets.
const SHORTEST: Duration = Duration::from_millis(70);

/// Writes numbers to `k` and sees the watch bring each of them.
async fn brings(watch: &mut WatchStream, writer: &Client, numbers: Range<u32>) {
    for number in numbers {
        write(writer, number).await;
        let changes = clock::within(MOVED, changes(watch)).await.expect("the watch moves in time");
        assert_eq!(shown(&changes), [format!("+k={number}")]);
    }
}

/// At most once, whatever fails: the comparison makes the transaction idempotent.
async fn write(writer: &Client, number: u32) {
    let value = number.to_string();
    let absent = Compare::absent(format!("done/{number}"));
    let put = Txn::new().when(absent).then(Put::new("k", value)).then(Put::new(format!("done/{number}"), ""));
    writer.send(put.idempotent()).await.unwrap();
}

async fn patient(endpoints: Vec<String>) -> Client {
    Client::builder(endpoints).unwrap().request_timeout(Duration::from_secs(30)).connect().await.unwrap()
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_after_a_server_restarts() {
    for version in VERSIONS {
        let mut server = Server::builder().version(version).start().await;
        let (client, writer) = (client_of(&server).await, patient(vec![server.endpoint()]).await);
        let mut watch = client.watch("k");
        watch.started().await.unwrap();
        for round in 0..3 {
            brings(&mut watch, &writer, round * 10..round * 10 + 5).await;
            server.restart().await;
            brings(&mut watch, &writer, round * 10 + 5..round * 10 + 10).await;
        }
    }
}

#[tokio::test]
async fn a_watch_leaves_members_that_are_killed_or_paused() {
    let mut cluster = Cluster::start(3).await;
    let (client, writer) = (patient(cluster.endpoints()).await, patient(cluster.endpoints()).await);
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    for (member, first) in [(0, 0), (1, 20), (2, 40)] {
        cluster.member_mut(member).kill();
        brings(&mut watch, &writer, first..first + 10).await;
        cluster.member_mut(member).restart().await;
        cluster.leader().await;
    }
    for (member, first) in [(0, 100), (1, 120), (2, 140)] {
        cluster.member(member).pause();
        brings(&mut watch, &writer, first..first + 10).await;
        cluster.member(member).resume();
        cluster.leader().await;
    }
}

#[tokio::test]
async fn a_watch_leaves_members_without_their_peers_and_connections_that_say_nothing() {
    let cluster = Cluster::builder().peer_proxies().start_cluster(3).await;
    let proxies = cluster.client_proxies().await;
    let client = patient(proxies.iter().map(|proxy| proxy.endpoint()).collect()).await;
    let writer = patient(cluster.endpoints()).await;
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    for (member, first) in [(0, 0), (1, 20), (2, 40)] {
        cluster.cut_off(member).await;
        brings(&mut watch, &writer, first..first + 5).await;
        cluster.heal();
        cluster.leader().await;
    }
    for (fault, first) in [(Fault::BlackHole, 100), (Fault::HalfOpen, 200)] {
        for (proxy, first) in proxies.iter().zip([first, first + 20, first + 40]) {
            proxy.set(fault);
            brings(&mut watch, &writer, first..first + 5).await;
            proxy.set(Fault::None);
        }
    }
    for (proxy, first) in proxies.iter().zip([300, 320, 340]) {
        proxy.forget();
        brings(&mut watch, &writer, first..first + 5).await;
    }
}

#[tokio::test]
async fn a_watch_waits_for_a_cluster_that_is_down_and_for_one_that_is_not_there_yet() {
    let mut cluster = Cluster::start(3).await;
    let client = patient(cluster.endpoints()).await;
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    for member in 0..3 {
        cluster.member_mut(member).kill();
    }
    let mut late = client.watch("k");
    assert!(timeout(Duration::from_secs(10), changes(&mut watch)).await.is_err());
    assert_eq!(late.next_revision(), None);
    for member in 0..3 {
        cluster.member_mut(member).launch();
    }
    cluster.leader().await;
    clock::within(MOVED, late.started()).await.expect("the watch finds the cluster").unwrap();
    let writer = patient(cluster.endpoints()).await;
    brings(&mut watch, &writer, 0..5).await;
    assert_eq!(shown(&changes(&mut late).await), ["+k=0"]);
}

#[tokio::test]
async fn what_is_compacted_while_a_watch_cannot_read_it_is_an_error_and_not_a_gap() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let client = Client::connect([proxy.endpoint()]).await.unwrap();
    let writer = client_of(&server).await;
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    brings(&mut watch, &writer, 0..3).await;
    proxy.set(Fault::BlackHole);
    write(&writer, 3).await;
    write(&writer, 4).await;
    let newest = writer.put("elsewhere", "v").await.unwrap().header.revision;
    writer.send(Compact::new(newest)).await.unwrap();
    proxy.forget();
    proxy.set(Fault::None);
    proxy.reset();
    let error = end(&mut watch).await;
    assert_eq!((error.kind(), error.compacted_at()), (ErrorKind::Compacted, Some(newest)), "{error}");
}

/// A deletion of 5 MB by one request, with the values that were deleted, is more than a server puts into one
/// response.
#[tokio::test]
async fn a_revision_in_fragments_arrives_whole() {
    for version in VERSIONS {
        let server = Server::builder().version(version).start().await;
        // An answer in one piece would be refused.
        let builder = Client::builder([server.endpoint()]).unwrap().max_response_bytes(3 << 20);
        let client = builder.connect().await.unwrap();
        let unlimited = client_of(&server).await;
        let mut newest = client.put("before", "v").await.unwrap().header.revision;
        for number in 0..5 {
            newest =
                client.put(format!("big/{number}"), vec![number; 1_000_000]).await.unwrap().header.revision;
        }
        let watch = || Watch::new(KeyRange::all()).from(newest.next()).previous_values();
        let mut live = client.watch(watch());
        live.started().await.unwrap();
        client.delete(KeyRange::prefix("big/")).await.unwrap();
        client.put("after", "v").await.unwrap();
        // What a server reads of its history before it has told that the watch is there comes in one piece.
        let mut late = unlimited.watch(watch());
        for watch in [&mut live, &mut late] {
            let deleted = changes(watch).await;
            assert_eq!((deleted.revision, deleted.events.len()), (newest.next(), 5), "{version}");
            assert_eq!(shown(&changes(watch).await), ["+after=v"], "{version}");
        }
    }
}

/// Every 70 ms; where that leaves a slow machine no time to connect, more time each time until something comes.
async fn reset_time_after_time(proxy: Proxy, seen: Arc<AtomicU32>) {
    let (mut pause, mut last) = (SHORTEST, 0);
    loop {
        sleep(pause).await;
        let now = seen.load(Ordering::Relaxed);
        pause = if now > last { SHORTEST } else { pause * 2 };
        last = now;
        proxy.reset();
    }
}

#[tokio::test]
async fn connections_reset_time_after_time_lose_and_repeat_nothing() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let client = Client::connect([proxy.endpoint()]).await.unwrap();
    let writer = client_of(&server).await;
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    let writing = tokio::spawn(async move {
        for number in 0..500 {
            write(&writer, number).await;
        }
    });
    let seen = Arc::new(AtomicU32::new(0));
    let resetting = tokio::spawn(reset_time_after_time(proxy, Arc::clone(&seen)));
    for number in 0..500 {
        let changes = timeout(PATIENCE, changes(&mut watch)).await.expect("the watch goes on");
        assert_eq!(shown(&changes), [format!("+k={number}")]);
        seen.store(number, Ordering::Relaxed);
    }
    resetting.abort();
    writing.await.unwrap();
}

#[tokio::test]
async fn a_watch_does_not_go_on_in_another_cluster() {
    let (mut server, other) = (Server::start().await, Server::start().await);
    let client = client_of(&server).await;
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    brings(&mut watch, &client, 0..2).await;
    client_of(&other).await.put("k", "of another history").await.unwrap();
    client.set_endpoints([other.endpoint()]).unwrap();
    server.kill();
    let error =
        clock::within(MOVED, watch.next()).await.expect("the watch moves in time").unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(watch.next().await.is_none());
}
