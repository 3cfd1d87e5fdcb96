//! Watches: whole revisions, in order, each exactly once.

use std::time::Duration;

use etcd_ark::{
    Client, Compact, Delete, ErrorKind, Event, KeyRange, Put, Revision, RevisionEvents, Txn, Watch,
    WatchStream, WatchUpdate,
};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::timeout;

use crate::client_of;
use crate::support::Server;

/// Far more than any update takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The versions that what servers say is tested on.
pub(crate) const VERSIONS: [&str; 3] = ["3.4.23", "3.5.1", "3.7.3"];

pub(crate) async fn next(watch: &mut WatchStream) -> WatchUpdate {
    let update = timeout(PATIENCE, watch.try_next()).await.expect("an update in time");
    update.unwrap().expect("a watch does not end")
}

pub(crate) async fn changes(watch: &mut WatchStream) -> RevisionEvents {
    match next(watch).await {
        WatchUpdate::Events(changes) => changes,
        other => panic!("{other:?}"),
    }
}

/// The error that the watch ends with, after whatever comes before it.
pub(crate) async fn end(watch: &mut WatchStream) -> etcd_ark::Error {
    let end = async {
        loop {
            match watch.next().await.expect("a watch ends with an error") {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    };
    timeout(PATIENCE, end).await.expect("an end in time")
}

/// As `+key=value` and `-key`.
pub(crate) fn shown(changes: &RevisionEvents) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let show = |event: &Event| match event {
        Event::Put { kv, .. } => format!("+{}={}", text(&kv.key), text(&kv.value)),
        Event::Delete { key, .. } => format!("-{}", text(key)),
        other => panic!("{other:?}"),
    };
    changes.events.iter().map(show).collect()
}

async fn put(client: &Client, key: &str, value: &str) -> Revision {
    client.put(key.to_owned(), value.to_owned()).await.unwrap().header.revision
}

#[tokio::test]
async fn ranges_of_every_kind_tell_their_changes_and_no_others() {
    for version in VERSIONS {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        let ranges = [
            (KeyRange::key("b"), vec!["+b=1", "-b"]),
            (KeyRange::prefix("b"), vec!["+b=1", "+b/c=2", "-b", "-b/c"]),
            (KeyRange::between("a", "b"), vec!["+a=0"]),
            (KeyRange::from_key("b/"), vec!["+b/c=2", "+c=3", "-b/c"]),
            (KeyRange::all(), vec!["+a=0", "+b=1", "+b/c=2", "+c=3", "-b", "-b/c"]),
        ];
        let mut watches = Vec::new();
        for (range, _) in &ranges {
            let mut watch = client.watch(range.clone());
            assert_eq!(watch.started().await.unwrap(), Revision(2));
            watches.push(watch);
        }
        for (key, value) in [("a", "0"), ("b", "1"), ("b/c", "2"), ("c", "3")] {
            put(&client, key, value).await;
        }
        client.delete(KeyRange::prefix("b")).await.unwrap();
        for (watch, (range, expected)) in watches.iter_mut().zip(ranges) {
            let mut seen = Vec::new();
            while seen.len() < expected.len() {
                seen.extend(shown(&changes(watch).await));
            }
            assert_eq!(seen, expected, "{range} on {version}");
        }
    }
}

#[tokio::test]
async fn a_watch_of_the_past_delivers_whole_revisions_and_tells_where_to_go_on() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let first = put(&client, "k", "0").await;
    let both = Txn::new().then(Put::new("a", "1")).then(Put::new("k", "1")).then(Delete::new("z"));
    client.send(both).await.unwrap();
    client.delete("k").await.unwrap();
    let mut watch = client.watch(Watch::new(KeyRange::all()).from(first));
    assert_eq!(watch.next_revision(), Some(first));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let changes = changes(&mut watch).await;
        assert_eq!(watch.next_revision(), Some(changes.revision.next()));
        seen.push((changes.revision.0 - first.0, shown(&changes)));
    }
    let expected = [(0, vec!["+k=0"]), (1, vec!["+a=1", "+k=1"]), (2, vec!["-k"])];
    assert_eq!(seen, expected.map(|(at, events)| (at, events.into_iter().map(str::to_owned).collect())));

    let mut rest = client.watch(Watch::new("k").from(first.next().next()));
    assert_eq!(shown(&changes(&mut rest).await), ["-k"]);
}

#[tokio::test]
async fn filters_leave_out_what_they_say_and_previous_values_are_told() {
    for version in VERSIONS {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        let from = put(&client, "k", "0").await;
        put(&client, "k", "1").await;
        client.delete("k").await.unwrap();
        put(&client, "k", "2").await;
        let watch = || Watch::new("k").from(from);

        let mut puts = client.watch(watch().only_puts());
        for expected in ["+k=0", "+k=1", "+k=2"] {
            assert_eq!(shown(&changes(&mut puts).await), [expected], "{version}");
        }
        let mut deletes = client.watch(watch().only_puts().only_deletes());
        assert_eq!(shown(&changes(&mut deletes).await), ["-k"], "{version}");

        let mut all = client.watch(watch().previous_values());
        let mut previous = Vec::new();
        for _ in 0..4 {
            let event = changes(&mut all).await.events.remove(0);
            previous.push((event.is_creation(), before(&event)));
        }
        let expected = [(true, None), (false, Some("0")), (false, Some("1")), (true, None)];
        assert_eq!(previous, expected.map(|(new, value)| (new, value.map(str::to_owned))), "{version}");
    }
}

/// What the key held before.
fn before(event: &Event) -> Option<String> {
    let (Event::Put { previous, .. } | Event::Delete { previous, .. }) = event else { panic!("{event:?}") };
    previous.as_ref().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

#[tokio::test]
async fn a_compacted_history_ends_the_watch_and_tells_where_to_read_anew() {
    for version in VERSIONS {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        let first = put(&client, "k", "0").await;
        let newest = put(&client, "k", "1").await;
        client.send(Compact::new(newest)).await.unwrap();

        let mut watch = client.watch(Watch::new("k").from(first));
        let error = end(&mut watch).await;
        assert_eq!((error.kind(), error.compacted_at()), (ErrorKind::Compacted, Some(newest)), "{error}");
        assert!(watch.next().await.is_none(), "a watch is over after its error");
        assert_eq!(watch.next_revision(), Some(first));

        let mut watch = client.watch(Watch::new("k").from(newest));
        assert_eq!(
            shown(&changes(&mut watch).await),
            ["+k=1"],
            "{version}: the compacted revision itself stays"
        );
    }
}

#[tokio::test]
async fn progress_is_told_if_asked_for_and_moves_the_position_all_the_same() {
    for (version, flag) in [
        ("3.4.23", "--experimental-watch-progress-notify-interval"),
        ("3.5.1", "--experimental-watch-progress-notify-interval"),
        ("3.7.3", "--watch-progress-notify-interval"),
    ] {
        let server = Server::builder().version(version).flag(flag, "200ms").start().await;
        let client = client_of(&server).await;
        let mut told = client.watch(Watch::new("k").progress());
        let mut silent = client.watch(Watch::new("k").only_deletes());
        silent.started().await.unwrap();
        put(&client, "k", "v").await;
        assert_eq!(shown(&changes(&mut told).await), ["+k=v"]);
        let newest = put(&client, "elsewhere", "v").await;
        while next(&mut told).await != WatchUpdate::Progress(newest) {}
        assert_eq!(told.next_revision(), Some(newest.next()), "{version}");
        let moved = async {
            while silent.next_revision() < Some(newest.next()) {
                assert!(
                    timeout(Duration::from_millis(50), silent.next()).await.is_err(),
                    "nothing was deleted"
                );
            }
        };
        timeout(PATIENCE, moved).await.expect("the position moves");
    }
}

#[tokio::test]
async fn a_namespaced_watch_sees_its_part_by_its_own_names() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let app = client.namespace("app/");
    let mut watch = app.watch(Watch::new(KeyRange::all()).previous_values());
    watch.started().await.unwrap();
    for (key, value) in [("app/k", "1"), ("apples", "2"), ("app/k", "3")] {
        put(&client, key, value).await;
    }
    assert_eq!(shown(&changes(&mut watch).await), ["+k=1"]);
    let second = changes(&mut watch).await;
    let Event::Put { kv, previous: Some(previous) } = &second.events[0] else { panic!("{second:?}") };
    assert_eq!((&kv.key[..], &previous.key[..], &previous.value[..]), (&b"k"[..], &b"k"[..], &b"1"[..]));
}

#[tokio::test]
async fn what_no_server_could_mean_is_refused_at_once() {
    let client = Client::builder(["http://127.0.0.1:1"]).unwrap().connect_lazy().unwrap();
    let impossible = [
        Watch::new(KeyRange::between("b", "a")),
        Watch::new(""),
        Watch::new("k").from(Revision(0)),
        Watch::new("k").from(Revision(-5)),
    ];
    for watch in impossible {
        let error = client.watch(watch.clone()).started().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{watch:?}");
        let mut watch = client.watch(watch);
        assert_eq!(end(&mut watch).await.kind(), ErrorKind::Config);
        assert!(watch.next().await.is_none());
    }
}
