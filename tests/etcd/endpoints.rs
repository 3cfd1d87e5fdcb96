//! Endpoints that change while the client lives.

use std::time::Duration;

use etcd_ark::{Client, ErrorKind, Get, TlsConfig};
use futures_util::TryStreamExt;
use tokio::time::{sleep, timeout};

use crate::support::{Cluster, Server, Tls};
use crate::watch::changes;
use crate::{client_of, refusal};

fn shown(client: &Client) -> Vec<String> {
    let mut shown: Vec<_> = client.endpoints().iter().map(ToString::to_string).collect();
    shown.sort();
    shown
}

fn sorted(mut endpoints: Vec<String>) -> Vec<String> {
    endpoints.sort();
    endpoints
}

#[tokio::test]
async fn one_endpoint_is_enough_to_learn_all() {
    let mut cluster = Cluster::start(3).await;
    let client = client_of(cluster.member(0)).await;
    client.sync_endpoints().await.unwrap();
    assert_eq!(shown(&client), sorted(cluster.endpoints()));
    cluster.member_mut(0).kill();
    client.get("k").await.unwrap();
}

/// A learner answers about itself and hands out its database; it must not be asked for anything else.
#[tokio::test]
async fn a_learner_serves_only_those_who_ask_for_it() {
    for version in ["3.4.23", "3.5.1", "3.7.3"] {
        let mut cluster = Cluster::builder().version(version).start_cluster(1).await;
        cluster.add_learner().await;
        let client = Client::connect(cluster.endpoints()).await.unwrap();
        for number in 0..20 {
            client.put("key", number.to_string()).await.unwrap();
            assert_eq!(client.get("key").await.unwrap().unwrap().value, number.to_string());
        }
        let serving = client.health().iter().map(|seen| seen.serves).collect::<Vec<_>>();
        assert_eq!(serving, [true, false], "etcd {version}");

        let learner = client.members().swap_remove(1);
        assert!(learner.status().await.unwrap().is_learner, "etcd {version}");
        let before = client.get("key").await.unwrap().unwrap();
        let read = learner.send(Get::new("key").serializable()).await.unwrap();
        assert_eq!(
            (read.header.member_id, read.kvs),
            (learner.status().await.unwrap().header.member_id, vec![before])
        );
        let error = refusal(async || learner.send(Get::new("key")).await).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "etcd {version}: {error}");

        // Of the versions here, 3.4.23 is older than learners' snapshots.
        if version != "3.4.23" {
            let chunks: Vec<_> = learner.snapshot().await.unwrap().try_collect().await.unwrap();
            assert!(!chunks.is_empty(), "etcd {version}");
        }
        client.sync_endpoints().await.unwrap();
        assert_eq!(shown(&client), [cluster.member(0).endpoint()], "etcd {version}");
    }
}

#[tokio::test]
async fn a_client_that_syncs_follows_the_member_list() {
    let cluster = Cluster::start(3).await;
    let builder = Client::builder([cluster.member(0).endpoint()]).unwrap();
    let client = builder.sync_interval(Duration::from_millis(100)).connect().await.unwrap();
    let synced = async {
        while client.endpoints().len() < 3 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), synced).await.expect("the other members are found");
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing() {
    let tls = Tls::new();
    // It advertises an address at which nobody listens.
    let server = Server::builder().flag("--advertise-client-urls", "http://127.0.0.1:1").start().await;
    let client = client_of(&server).await;
    let error = client.sync_endpoints().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("http://127.0.0.1:1"), "{error}");
    client.put("k", "v").await.unwrap();

    // It advertises plaintext to a client that came by TLS.
    let plain = "http://127.0.0.1:2379";
    let server = Server::builder().tls(&tls).flag("--advertise-client-urls", plain).start().await;
    let config = TlsConfig::new().ca_file(tls.ca());
    let client = Client::builder([server.endpoint()]).unwrap().tls(config).connect().await.unwrap();
    assert_eq!(client.sync_endpoints().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(shown(&client), [server.endpoint()]);

    for none in [client.set_endpoints(Vec::<String>::new()), client.set_endpoints(["ftp://a"])] {
        assert_eq!(none.unwrap_err().kind(), ErrorKind::Config);
    }
    client.put("k", "v").await.unwrap();
}

#[tokio::test]
async fn requests_go_to_the_endpoints_that_were_set_last() {
    let (one, other) = (Server::start().await, Server::start().await);
    let client = client_of(&one).await;
    client.put("k", "one").await.unwrap();
    client.set_endpoints([other.endpoint(), other.endpoint()]).unwrap();
    assert_eq!(shown(&client), [other.endpoint()], "each once");
    assert_eq!(client.get("k").await.unwrap(), None);
    client.set_endpoints([format!("{},{}", one.endpoint(), one.endpoint())]).unwrap();
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "one");
}

#[tokio::test]
async fn http_and_https_are_each_what_they_say() {
    let tls = Tls::new();
    let (plain, encrypted) = (Server::start().await, Server::builder().tls(&tls).start().await);
    let builder = Client::builder([plain.endpoint(), encrypted.endpoint()]).unwrap();
    let client = builder.tls(TlsConfig::new().ca_file(tls.ca())).connect().await.unwrap();
    for member in client.members() {
        member.status().await.unwrap();
    }
}

/// Streams go on at the new endpoints, though the old ones still serve.
#[tokio::test]
async fn streams_leave_members_that_are_no_longer_endpoints() {
    let cluster = Cluster::start(3).await;
    let proxies = cluster.client_proxies().await;
    let endpoint = |member: usize| [proxies[member].endpoint()];
    let client = Client::connect(endpoint(0)).await.unwrap();
    let mut watch = client.watch("key");
    watch.started().await.unwrap();
    let lease = client.grant_lease(Duration::from_secs(12)).await.unwrap();
    // Longer than until the next renewal.
    sleep(Duration::from_secs(5)).await;
    client.set_endpoints(endpoint(1)).unwrap();
    client.put("key", "value").await.unwrap();
    timeout(Duration::from_secs(60), changes(&mut watch)).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let before = proxies[0].bytes();
    client.put("key", "another value").await.unwrap();
    timeout(Duration::from_secs(60), changes(&mut watch)).await.unwrap();
    assert_eq!(proxies[0].bytes(), before, "the old one is still used");
    assert!(lease.is_held());
}

/// What a client knows of its members outlives a look at the same list.
#[tokio::test]
async fn members_that_stay_the_same_are_not_forgotten() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    cluster.member_mut(0).kill();
    while client.health()[0].serves {
        client.get("key").await.unwrap();
    }
    let reversed: Vec<_> = cluster.endpoints().into_iter().rev().collect();
    client.set_endpoints(reversed).unwrap();
    assert!(!client.health()[0].serves, "{:?}", client.health());
}
