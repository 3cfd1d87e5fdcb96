//! Watches while members die, stop and come back, and tokens run out.

use std::time::Duration;

use etcd_ark::{Client, Watch, WatchStream};
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Cluster, Server};
use crate::watch::{changes, shown};

/// When a watch must be somewhere else at the latest, on a machine that is busy.
const MOVED: Duration = Duration::from_secs(10);

/// Puts numbers under a key until the watch has brought them all; `soon` bounds the wait for the last.
async fn brings(watch: &mut WatchStream, client: &Client, numbers: std::ops::Range<u32>) {
    for number in numbers {
        // Ambiguous failures are not what is tested here.
        client
            .send(etcd_ark::Txn::new().then(etcd_ark::Put::new("k", number.to_string())).idempotent())
            .await
            .unwrap();
        let changes = timeout(MOVED, changes(watch)).await.expect("the watch moves in time");
        assert_eq!(shown(&changes), [format!("+k={number}")]);
    }
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_after_a_server_restarts() {
    let mut server = Server::start().await;
    let client = client_of(&server).await;
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    for round in 0..3 {
        brings(&mut watch, &client, round * 10..round * 10 + 5).await;
        server.restart().await;
        brings(&mut watch, &client, round * 10 + 5..round * 10 + 10).await;
    }
}
