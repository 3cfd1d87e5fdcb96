//! Scans by pages and by streams, several parts at once, of servers that fail in the middle.

use std::time::{Duration, Instant};

use etcd_ark::{
    Client, Compact, ErrorKind, Get, GetStream, KeyRange, KeyValue, Revision, Scan, ScanStream, ScanWay,
    SortOrder, SortTarget,
};
use futures_util::TryStreamExt;
use tokio::time::{sleep, timeout};

use crate::scan::load;
use crate::support::{Builder, Cluster, Fault, Proxy, Server};
use crate::{client_of, refusal};

/// Far more than a compaction takes to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first version with streams.
const STREAMS: &str = "3.7.3";
pub(crate) const KEYS: usize = 8000;

pub(crate) fn value() -> String {
    "v".repeat(1000)
}

fn with_streams() -> Builder {
    Server::builder().version(STREAMS)
}

async fn collected(mut stream: GetStream) -> (Vec<KeyValue>, u64, bool) {
    let mut kvs = Vec::new();
    while let Some(chunk) = stream.next_chunk().await.unwrap() {
        kvs.extend(chunk);
    }
    let tail = stream.tail().unwrap();
    assert!(stream.next_chunk().await.unwrap().is_none(), "the end is the end");
    (kvs, tail.count, tail.more)
}

#[tokio::test]
async fn a_stream_gives_what_the_request_is_answered_with() {
    let server = with_streams().start().await;
    let client = client_of(&server).await.namespace("app/");
    load(&client, "k", 3000, &value()).await;
    let old = client.put("k00000000", "new").await.unwrap().header.revision;
    client.delete(KeyRange::prefix("k000001")).await.unwrap();
    let requests = [
        Get::new(KeyRange::all()),
        Get::new(KeyRange::all()).at(old).serializable(),
        Get::new(KeyRange::prefix("k0000")).limit(700),
        Get::new("k00000000"),
        Get::new(KeyRange::prefix("nothing")),
        Get::new(KeyRange::all()).keys_only(),
    ];
    for request in requests {
        let answer = client.send(request.clone()).await.unwrap();
        let (kvs, count, more) = collected(client.get_stream(request.clone()).await.unwrap()).await;
        assert!(kvs == answer.kvs, "{request:?}");
        assert_eq!((count, more), (answer.count, answer.more), "{request:?}");
    }
    let counted = collected(client.get_stream(Get::new(KeyRange::all()).count_only()).await.unwrap()).await;
    assert_eq!((counted.0.len(), counted.1), (0, 2900));
}

#[tokio::test]
async fn what_no_stream_can_be_had_of_is_told() {
    let server = Server::builder().version("3.6.16").start().await;
    let client = client_of(&server).await;
    load(&client, "k", 100, "v").await;
    let error = client.get_stream(Get::new("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerTooOld, "{error}");
    assert!(error.to_string().contains("3.7"), "{error}");
    let sorted = Get::new("k").sort_by(SortTarget::Value, SortOrder::Descending);
    assert_eq!(client.get_stream(sorted).await.unwrap_err().kind(), ErrorKind::Config);
    let streams = Scan::all().way(ScanWay::Streams);
    let error = client.scan(streams).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerTooOld, "{error}");
}

/// Streams come over a connection of their own.
#[tokio::test]
async fn large_ranges_are_read_by_streams_where_there_are_any() {
    let cases = [
        (STREAMS, ScanWay::Auto, KeyRange::all(), 2),
        (STREAMS, ScanWay::Pages, KeyRange::all(), 1),
        (STREAMS, ScanWay::Auto, KeyRange::prefix("k0000000"), 1),
        ("3.5.1", ScanWay::Auto, KeyRange::all(), 2),
        ("3.5.1", ScanWay::Pages, KeyRange::all(), 1),
    ];
    for (version, way, range, connections) in cases {
        // The second scan knows what the first has found out.
        let expected = if version == STREAMS { 2 * connections - 1 } else { connections };
        let mut seen = Vec::new();
        // A server that says nothing for a moment is dialled once more: then another one tells.
        while seen.len() < 4 && seen.last() != Some(&expected) {
            seen.push(connections_of_two_scans(version, &range, way).await);
        }
        assert_eq!(seen.last(), Some(&expected), "etcd {version}, {way:?}, {range}: {seen:?}");
    }
}

async fn connections_of_two_scans(version: &str, range: &KeyRange, way: ScanWay) -> u64 {
    let server = Server::builder().version(version).start().await;
    let proxy = Proxy::to(server.port()).await;
    let client = Client::connect([proxy.endpoint()]).await.unwrap();
    load(&client, "k", 2000, &value()).await;
    for _ in 0..2 {
        let scan = Scan::new(range.clone()).page_bytes(100_000).way(way);
        assert!(!client.scan(scan).try_collect::<Vec<_>>().await.unwrap().is_empty());
    }
    proxy.connections()
}

#[tokio::test]
async fn every_way_gives_every_key_once_in_order_however_many_parts_are_read_at_once() {
    let server = with_streams().start().await;
    let client = client_of(&server).await;
    load(&client, "a/", 3000, "value").await;
    load(&client, "b/c/", 1000, &value()).await;
    let expected = client.send(Get::new(KeyRange::all())).await.unwrap().kvs;
    for way in [ScanWay::Pages, ScanWay::Streams] {
        for (parts, page_bytes, in_flight) in
            [(1, 5000, 1), (4, 5000, 1 << 20), (16, 50_000, 1), (3, 1000, 9000)]
        {
            let scan = Scan::all().way(way).concurrency(parts).page_bytes(page_bytes);
            let scan = client.scan(scan.max_in_flight_bytes(in_flight));
            let found: Vec<_> = scan.try_collect().await.unwrap();
            assert!(found == expected, "{way:?}, {parts} parts, {page_bytes} bytes a page");
        }
    }
}

/// A scan of small parts, so that there is a middle in which something can happen.
pub(crate) fn in_small_parts(way: ScanWay) -> Scan {
    Scan::all().way(way).page_bytes(100_000).max_in_flight_bytes(1 << 20)
}

/// All keys of [`load`] must come, those in `scan` after its first page.
pub(crate) async fn assert_goes_on(mut scan: ScanStream, already: usize) {
    let (mut expected, mut pages) = (already, 0);
    while let Some(page) = scan.next_page().await.unwrap() {
        for kv in page.kvs {
            assert_eq!(kv.key, format!("k{expected:08}"));
            expected += 1;
        }
        pages += 1;
    }
    assert_eq!(expected, KEYS);
    assert!(pages > 5, "all came in {pages} pages, before anything could happen");
}

/// Scans a cluster of three, to which `strike` happens after the first page, which tells whom to spare.
async fn struck(builder: Builder, way: ScanWay, strike: impl AsyncFn(&mut Cluster, usize)) {
    let mut cluster = builder.start_cluster(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    load(&client, "k", KEYS, &value()).await;
    let mut scan = client.scan(in_small_parts(way));
    let already = scan.next_page().await.unwrap().unwrap().kvs.len();
    let leader = cluster.leader().await;
    strike(&mut cluster, leader).await;
    assert_goes_on(scan, already).await;
}

pub(crate) const WAYS: [(&str, ScanWay); 2] = [("3.5.1", ScanWay::Pages), (STREAMS, ScanWay::Streams)];

#[tokio::test]
async fn a_scan_goes_on_while_a_member_is_paused() {
    for (version, way) in WAYS {
        let pause = async |cluster: &mut Cluster, leader: usize| cluster.member((leader + 1) % 3).pause();
        struck(Server::builder().version(version), way, pause).await;
    }
}

#[tokio::test]
async fn a_scan_goes_on_when_a_member_or_the_leader_dies() {
    for (version, way) in WAYS {
        for victim in 0..2 {
            let kill = async |cluster: &mut Cluster, leader: usize| {
                cluster.member_mut((leader + victim) % 3).kill();
            };
            struck(Server::builder().version(version), way, kill).await;
        }
    }
}

#[tokio::test]
async fn streams_of_a_member_that_dies_in_the_middle_of_one_go_on_elsewhere() {
    let strike = async |cluster: &mut Cluster, leader: usize| {
        let member = cluster.member((leader + 1) % 3);
        member.set_failpoint("beforeRangeStreamChunk", r#"3*off->panic("in the middle")"#).await;
    };
    struck(Server::builder().failpoints(), ScanWay::Streams, strike).await;
}

#[tokio::test]
async fn a_slow_member_costs_time_and_no_keys() {
    let strike = async |cluster: &mut Cluster, leader: usize| {
        cluster.member(leader).set_failpoint("beforeRangeStreamChunk", r#"sleep("200ms")"#).await;
    };
    struck(Server::builder().failpoints(), ScanWay::Streams, strike).await;
}

#[tokio::test]
async fn members_that_lag_behind_the_revision_are_passed_over() {
    for way in [ScanWay::Pages, ScanWay::Streams] {
        let cluster = Cluster::builder().failpoints().start_cluster(3).await;
        let lagging = (cluster.leader().await + 1) % 3;
        let others = cluster.endpoints().into_iter().enumerate().filter(|(member, _)| *member != lagging);
        let writer = Client::connect(others.map(|(_, endpoint)| endpoint)).await.unwrap();
        cluster.member(lagging).set_failpoint("beforeApplyOneEntryNormal", r#"sleep("1s")"#).await;
        load(&writer, "k", KEYS, &value()).await;
        let pinned = writer.scan(Scan::prefix("k").page_bytes(1)).next_page().await.unwrap().unwrap();
        let client = Client::connect(cluster.endpoints()).await.unwrap();
        let behind = Get::new("k").at(pinned.header.revision).serializable();
        let member = Client::builder([cluster.endpoints().swap_remove(lagging)]).unwrap();
        let member = member.request_timeout(Duration::from_millis(500)).connect_lazy().unwrap();
        let error = refusal(async || member.send(behind.clone()).await).await;
        assert_eq!(error.kind(), ErrorKind::FutureRevision, "{error}");
        let found: Vec<_> =
            client.scan(in_small_parts(way).at(pinned.header.revision)).try_collect().await.unwrap();
        assert_eq!(found.len(), KEYS, "{way:?}");
    }
}

#[tokio::test]
async fn connections_that_break_again_and_again_cost_no_keys() {
    for (version, way) in WAYS {
        let server = Server::builder().version(version).start().await;
        load(&client_of(&server).await, "k", KEYS, &value()).await;
        let proxy = Proxy::to(server.port()).await;
        proxy.set(Fault::CutAfter(1_500_000));
        let client = Client::connect([proxy.endpoint()]).await.unwrap();
        let mut scan = client.scan(in_small_parts(way).concurrency(2));
        let already = scan.next_page().await.unwrap().unwrap().kvs.len();
        assert_goes_on(scan, already).await;
        assert!(proxy.connections() > 3, "{} connections", proxy.connections());
    }
}

#[tokio::test]
async fn compaction_in_the_middle_ends_a_scan_by_streams_too() {
    let server = with_streams().start().await;
    let client = client_of(&server).await;
    load(&client, "k", KEYS, &value()).await;
    let mut scan = client.scan(in_small_parts(ScanWay::Streams));
    scan.next_page().await.unwrap().unwrap();
    let newest = client.put("k", "v").await.unwrap().header.revision;
    client.send(Compact::new(newest)).await.unwrap();
    let error = loop {
        match scan.next_page().await {
            Ok(page) => assert!(page.is_some(), "the scan ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
}

async fn until_logged(server: &Server, what: &str) {
    while !server.log().contains(what) {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_compaction_that_is_cut_short_costs_no_keys_at_its_revision() {
    for way in [ScanWay::Pages, ScanWay::Streams] {
        let mut cluster = Server::builder().failpoints().start_cluster(3).await;
        let client = Client::connect(cluster.endpoints()).await.unwrap();
        load(&client, "k", KEYS, "older").await;
        load(&client, "k", KEYS, &value()).await;
        let mut scan = client.scan(in_small_parts(way));
        let first = scan.next_page().await.unwrap().unwrap();
        let revision = first.header.revision;

        let leader = cluster.leader().await;
        let victim = (leader + 1) % 3;
        let member = cluster.member(victim);
        member.set_failpoint("compactBeforeCommitBatch", r#"panic("in the middle")"#).await;
        client_of(cluster.member(leader)).await.send(Compact::new(revision)).await.unwrap();
        assert_goes_on(scan, first.kvs.len()).await;
        timeout(PATIENCE, until_logged(cluster.member(victim), "in the middle"))
            .await
            .expect("it is cut short");

        cluster.member_mut(victim).restart().await;
        let alone = client_of(cluster.member(victim)).await;
        let mut again = alone.scan(in_small_parts(way).at(revision));
        let already = again.next_page().await.unwrap().unwrap().kvs.len();
        assert_goes_on(again, already).await;
        let before = Revision(revision.0 - 1);
        let error = alone.scan(in_small_parts(way).at(before)).next_page().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    }
}

#[tokio::test]
async fn a_caller_who_takes_nothing_holds_the_servers_up() {
    const VALUES: usize = 480;
    for (version, way) in WAYS {
        let server = Server::builder().version(version).start().await;
        let proxy = Proxy::to(server.port()).await;
        let client = Client::connect([proxy.endpoint()]).await.unwrap();
        load_large(&client, VALUES).await;
        let before = proxy.bytes();
        let mut scan = client.scan(Scan::all().way(way).page_bytes(500_000).max_in_flight_bytes(2 << 20));
        let mut read = scan.next_page().await.unwrap().unwrap().kvs.len();
        sleep(Duration::from_secs(2)).await;
        // The proxy itself takes up to 16 MiB, and the sockets some more.
        let carried = proxy.bytes() - before;
        assert!(carried < 32 << 20, "{way:?}: {carried} bytes for a caller who took {read} keys");
        while let Some(page) = scan.next_page().await.unwrap() {
            read += page.kvs.len();
        }
        assert_eq!(read, VALUES);
    }
}

/// Writes so many values of 100 kB.
pub(crate) async fn load_large(client: &Client, count: usize) {
    for number in 0..count {
        client.put(format!("large{number:04}"), vec![b'v'; 100_000]).await.unwrap();
    }
}

#[tokio::test]
async fn a_rate_limit_is_kept() {
    for (version, way) in WAYS {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        load(&client, "k", 2000, &value()).await;
        let began = Instant::now();
        let scan = Scan::all().way(way).page_bytes(100_000).rate_limit(1_000_000);
        let found: Vec<_> = client.scan(scan).try_collect().await.unwrap();
        assert_eq!(found.len(), 2000);
        // What is asked for last is not waited for.
        assert!(began.elapsed() > Duration::from_millis(1500), "{way:?}: {:?}", began.elapsed());
    }
}

/// As during an upgrade: streams come from the members that have them, pages from any.
#[tokio::test]
async fn a_cluster_of_two_versions_is_read_by_streams_of_the_newer_members() {
    let mut cluster = Server::builder().version("3.6.16").start_cluster(3).await;
    let newer = (cluster.leader().await + 1) % 3;
    cluster.member_mut(newer).upgrade(STREAMS).await;
    cluster.leader().await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    load(&client, "k", KEYS, &value()).await;
    for way in [ScanWay::Streams, ScanWay::Auto, ScanWay::Pages] {
        let mut scan = client.scan(in_small_parts(way));
        let already = scan.next_page().await.unwrap().unwrap().kvs.len();
        assert_goes_on(scan, already).await;
    }
}
