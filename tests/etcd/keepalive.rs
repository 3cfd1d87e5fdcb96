//! Connections on which nothing happens for long.

use std::time::Duration;

use etcd_ark::{Client, TlsConfig, Watch};
use futures_util::TryStreamExt;
use tokio::time::{sleep, timeout};

use crate::support::{Proxy, Server, Tls};
use crate::watch::changes;

/// A client that comes through a proxy, with TLS or without.
async fn through_proxy(tls: Option<&Tls>) -> (Server, Proxy, Client) {
    let builder = match tls {
        Some(tls) => Server::builder().tls(tls),
        None => Server::builder(),
    };
    let server = builder.start().await;
    let proxy = Proxy::to(server.port()).await;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let mut builder = Client::builder([format!("{scheme}://127.0.0.1:{}", proxy.port())]).unwrap();
    if let Some(tls) = tls {
        builder = builder.tls(TlsConfig::new().ca_file(tls.ca()));
    }
    let client = builder.connect().await.unwrap();
    (server, proxy, client)
}

/// What has gone over the proxy when nothing has for a second: who put may have asked whether a slow server is well.
async fn once_quiet(proxy: &Proxy) -> (u64, u64) {
    loop {
        let before = (proxy.bytes(), proxy.ended());
        sleep(Duration::from_secs(1)).await;
        if (proxy.bytes(), proxy.ended()) == before {
            return before;
        }
    }
}

/// Longer than the interval of pings.
async fn nothing_goes_over_an_idle_connection(tls: Option<&Tls>) {
    let (_server, proxy, client) = through_proxy(tls).await;
    client.put("key", "value").await.unwrap();
    let before = once_quiet(&proxy).await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!((proxy.bytes(), proxy.ended()), before);
    client.get("key").await.unwrap();
}

/// Longer than it takes a server to lose its patience with pings that come too often: it bears three.
async fn a_quiet_watch_keeps_its_connection(tls: Option<&Tls>) {
    let (server, proxy, client) = through_proxy(tls).await;
    let mut watch = client.watch(Watch::new("key"));
    watch.started().await.unwrap();
    let quiet = timeout(Duration::from_secs(34), watch.try_next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    server.etcdctl(&["put", "key", "value"]).await;
    changes(&mut watch).await;
    // There may be another one: a server that is slow for a second is dialled anew. Watches stay where they are.
    assert_eq!(proxy.ended(), 0);
    assert!(!server.log().contains("too_many_pings"), "{}", server.log());
}

#[tokio::test]
async fn idle_connections_are_silent_and_stay_open() {
    let tls = Tls::new();
    tokio::join!(
        nothing_goes_over_an_idle_connection(None),
        nothing_goes_over_an_idle_connection(Some(&tls))
    );
}

#[tokio::test]
async fn no_server_takes_offence_at_the_pings_of_a_quiet_watch() {
    let tls = Tls::new();
    tokio::join!(a_quiet_watch_keeps_its_connection(None), a_quiet_watch_keeps_its_connection(Some(&tls)));
}
