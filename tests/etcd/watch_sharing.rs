//! Many watches of one client, by what the server counts.

use std::time::Duration;

use etcd_ark::{Client, Compact, ErrorKind, Event, KeyRange, Revision, Watch, WatchUpdate};
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use crate::support::Server;
use crate::watch::{VERSIONS, changes, end, shown};
use crate::{client_of, metrics};

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the server has this many watches, over this many streams.
async fn settles(server: &Server, watches: u64, streams: u64) {
    let mut counted = (0, 0);
    let settled = async {
        loop {
            counted.0 = metrics::sum(server, "etcd_debugging_mvcc_watcher_total", "").await;
            counted.1 = metrics::sum(server, "etcd_debugging_mvcc_watch_stream_total", "").await;
            if counted == (watches, streams) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let outcome = timeout(PATIENCE, settled).await;
    assert!(outcome.is_ok(), "{counted:?} watches and streams instead of {watches} and {streams}");
}

#[tokio::test]
async fn many_watches_share_few_streams_and_end_with_their_consumers() {
    for version in VERSIONS {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        let from = client.put("k", "0").await.unwrap().header.revision;
        let mut watches: Vec<_> = (0..250).map(|_| client.watch(Watch::new("k").from(from))).collect();
        for watch in &mut watches {
            assert_eq!(shown(&changes(watch).await), ["+k=0"]);
        }
        settles(&server, 250, 3).await;
        // The rest is on the first two streams and a half.
        watches.truncate(150);
        settles(&server, 150, 2).await;
        client.put("k", "1").await.unwrap();
        for watch in &mut watches {
            assert_eq!(shown(&changes(watch).await), ["+k=1"]);
        }
        let last = watches.pop().unwrap();
        drop(watches);
        drop(client);
        settles(&server, 1, 1).await;
        drop(last);
        settles(&server, 0, 0).await;
    }
}

/// Writes 100 values of 200 kB, 20 MB in all, to `k`.
async fn flood(client: &Client) {
    for number in 0..100 {
        client.put("k", vec![number; 200_000]).await.unwrap();
    }
}

#[tokio::test]
async fn a_consumer_who_does_not_take_rests_and_slows_nobody() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let (mut stalled, mut busy) = (client.watch("k"), client.watch(KeyRange::all()));
    stalled.started().await.unwrap();
    busy.started().await.unwrap();
    let counting = tokio::spawn(async move {
        for number in 0..100 {
            let changes = changes(&mut busy).await;
            let [Event::Put { kv, .. }] = &changes.events[..] else { panic!("{changes:?}") };
            assert_eq!(kv.value[0], number);
        }
        busy
    });
    flood(&client).await;
    let _busy = timeout(PATIENCE, counting).await.expect("the other watch has all").unwrap();
    // 8 MiB are kept; for the rest the server's watch has been given up.
    settles(&server, 1, 1).await;
    for number in 0..100 {
        let changes = changes(&mut stalled).await;
        let [Event::Put { kv, .. }] = &changes.events[..] else { panic!("{changes:?}") };
        assert_eq!(kv.value[0], number);
    }
    settles(&server, 2, 1).await;
}

#[tokio::test]
async fn a_consumer_who_takes_too_late_gets_what_was_kept_and_then_the_truth() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut stalled = client.watch("k");
    stalled.started().await.unwrap();
    flood(&client).await;
    settles(&server, 0, 0).await;
    let newest = client.put("k", "newest").await.unwrap().header.revision;
    client.send(Compact::new(newest)).await.unwrap();
    let mut kept = 0;
    while let Ok(changes) = timeout(PATIENCE, stalled.next()).await.unwrap().unwrap() {
        let WatchUpdate::Events(changes) = changes else { panic!("{changes:?}") };
        let [Event::Put { kv, .. }] = &changes.events[..] else { panic!("{changes:?}") };
        assert_eq!(usize::from(kv.value[0]), kept);
        kept += 1;
    }
    assert_eq!(kept, (8 << 20) / 200_100);
    assert!(stalled.next().await.is_none());
    let mut again = client.watch(Watch::new("k").from(Revision(1)));
    assert_eq!(end(&mut again).await.kind(), ErrorKind::Compacted);
}
