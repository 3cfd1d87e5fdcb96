//! Scans that are given up, and scans of servers that say nothing.

use std::time::Duration;

use etcd_ark::{Client, ErrorKind, Scan, ScanWay};
use futures_util::TryStreamExt;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::metrics::sum;
use crate::scan::load;
use crate::scan_ways::{KEYS, WAYS, assert_goes_on, in_small_parts, load_large, value};
use crate::support::{Fault, Proxy, Server, clock};

const READS: &str = r#"grpc_method="Range"#;
const STREAM: &str = r#"grpc_method="RangeStream""#;

/// How many reads, by pages and streams, a server has begun.
async fn begun(server: &Server) -> u64 {
    sum(server, "grpc_server_started_total", READS).await
}

/// Waits until a server works on no read, and tells how many it has begun.
async fn all_ended(server: &Server) -> u64 {
    loop {
        let ended = sum(server, "grpc_server_handled_total", READS).await;
        let begun = begun(server).await;
        if begun == ended {
            return begun;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Otherwise nobody would read the streams, and the server would keep them for as long as the client lives.
#[tokio::test]
async fn a_dropped_scan_ends_its_streams_and_asks_for_nothing_more() {
    const VALUES: usize = 480;
    for (version, way) in WAYS {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        load_large(&client, VALUES).await;
        let before = begun(&server).await;
        let mut scan = client.scan(Scan::all().way(way).page_bytes(500_000).max_in_flight_bytes(2 << 20));
        scan.next_page().await.unwrap().unwrap();
        scan.next_page().await.unwrap().unwrap();
        drop(scan);
        let ended = timeout(Duration::from_secs(30), all_ended(&server)).await;
        let asked = ended.expect("the server still works for a scan that is no more");
        assert!(asked - before < 20, "{way:?}: {} requests for two pages", asked - before);
        sleep(Duration::from_secs(1)).await;
        // Whether the server is well may still be asked.
        let more = begun(&server).await - asked;
        assert!(more <= 2, "{way:?}: {more} requests after the end");
        if way == ScanWay::Streams {
            let handled = sum(&server, "grpc_server_handled_total", STREAM).await;
            let whole = sum(&server, r#"grpc_server_handled_total{grpc_code="OK""#, STREAM).await;
            assert!(handled > whole, "no stream was open: all {handled} had been sent whole");
        }
        assert_eq!(client.scan(Scan::all().way(way)).try_collect::<Vec<_>>().await.unwrap().len(), VALUES);
    }
}

#[tokio::test]
async fn what_is_stuck_ends_after_the_time_given() {
    for (version, way) in WAYS {
        let server = Server::builder().version(version).start().await;
        load(&client_of(&server).await, "k", KEYS, &value()).await;
        let proxy = Proxy::to(server.port()).await;
        let client = Client::connect([proxy.endpoint()]).await.unwrap();
        let mut scan = client.scan(in_small_parts(way).page_timeout(Duration::from_secs(6)));
        scan.next_page().await.unwrap().unwrap();
        proxy.set(Fault::HalfOpen);
        let end = async {
            loop {
                match scan.next_page().await {
                    Ok(page) => assert!(page.is_some(), "the scan ended as if it were complete"),
                    Err(error) => break error,
                }
            }
        };
        // Less than it takes by default.
        let error = clock::within(Duration::from_secs(20), end).await.expect("the scan hangs");
        assert_eq!(error.kind(), ErrorKind::Deadline, "{way:?}: {error}");
        assert!(scan.next_page().await.unwrap().is_none(), "a scan is over after its error");
    }
}

#[tokio::test]
async fn what_is_stuck_at_one_member_is_read_elsewhere() {
    for (version, way) in WAYS {
        let cluster = Server::builder().version(version).start_cluster(3).await;
        let mut proxies = Vec::new();
        for member in 0..3 {
            proxies.push(Proxy::to(cluster.member(member).port()).await);
        }
        let client = Client::connect(proxies.iter().map(Proxy::endpoint)).await.unwrap();
        load(&client, "k", KEYS, &value()).await;
        let carried = || proxies.iter().map(Proxy::bytes).collect::<Vec<_>>();
        let before = carried();
        let mut scan = client.scan(in_small_parts(way));
        let already = scan.next_page().await.unwrap().unwrap().kvs.len();
        // The member that has the most to say.
        let (_, busiest) = carried()
            .iter()
            .zip(&before)
            .map(|(now, before)| now - before)
            .zip(&proxies)
            .max_by_key(|(bytes, _)| *bytes)
            .unwrap();
        busiest.set(Fault::HalfOpen);
        timeout(Duration::from_secs(60), assert_goes_on(scan, already)).await.expect("the scan hangs");
    }
}
