//! Reaching servers, and not reaching them.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::ark::{Place, finish, run};
use crate::support::{Cluster, Fault, Proxy, Server, Tls, Way, clock};

#[tokio::test]
async fn nobody_there() {
    let place = Place::new().await;
    place.run("backup -o saved.ark --endpoints 127.0.0.1:1").await.failed(3, "127.0.0.1:1: cannot connect");
    place.run("snapshot save s.db --endpoints 127.0.0.1:1").await.failed(3, "127.0.0.1:1: cannot connect");
    place.json("backup -o saved.ark").await;
    place.run("restore saved.ark --yes --endpoints 127.0.0.1:1").await.failed(3, "cannot connect");
    assert_eq!(place.files(), ["saved.ark"]);
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place::new().await;
    let began = clock::now();
    let mut command =
        place.ark("backup -o saved.ark --dial-timeout 300ms --command-timeout 300ms --endpoints");
    run(command.arg(silent.local_addr().unwrap().to_string())).await.failed(3, "no answer in time");
    // Less than by default.
    let took = clock::now() - began;
    assert!(took < Duration::from_secs(4), "took {took:?}");
}

#[tokio::test]
async fn a_dead_member_among_living_ones() {
    let mut cluster = Cluster::start(3).await;
    let endpoints = cluster.endpoints();
    cluster.member_mut(0).kill();
    let place = Place::new().await;
    let list = format!("{},{}", endpoints[0], endpoints[1]);
    place.run(&format!("backup -o saved.ark --endpoints {list}")).await.succeeded();
    place.run(&format!("restore saved.ark --yes --endpoints {list}")).await.succeeded();
    // A snapshot is the first member's own.
    let dead = place.run(&format!("snapshot save s.db --endpoints {list}")).await;
    dead.failed(3, &endpoints[0]);
    assert_eq!(place.files(), ["saved.ark"]);
}

#[tokio::test]
async fn a_server_that_dies_under_a_backup_leaves_no_file() {
    let mut place = Place::holding("a/", 10_000, 1000).await;
    let proxy = Proxy::stalling(place.server.port(), Way::Answer, 2 << 20).await;
    let mut command = place.ark("backup -o saved.ark");
    let running = command.env("ETCDCTL_ENDPOINTS", proxy.endpoint()).spawn().unwrap();
    proxy.stalled().await;
    place.server.kill();
    proxy.set(Fault::None);
    finish(running).await.failed(3, &proxy.endpoint());
    assert_eq!(place.files(), [""; 0]);
}

#[tokio::test]
async fn tls_and_client_certificates() {
    let tls = Tls::new();
    let place = Place::with(Server::builder().mtls(&tls).start().await);
    let (ca, identity) = (tls.ca(), tls.client("someone"));
    let identity = format!("--cert {} --key {}", identity.cert.display(), identity.key.display());
    place.run(&format!("backup -o one.ark --cacert {} {identity}", ca.display())).await.succeeded();
    place.run(&format!("backup -o two.ark --insecure-skip-tls-verify {identity}")).await.succeeded();
    place.run(&format!("backup -o three.ark --insecure-skip-tls-verify=true {identity}")).await.succeeded();

    let no_certificate = place.run(&format!("backup -o x.ark --cacert {}", ca.display())).await;
    no_certificate.failed(3, "ertificate");
    let stranger = Tls::new();
    let wrong_ca =
        place.run(&format!("backup -o x.ark --cacert {} {identity}", stranger.ca().display())).await;
    wrong_ca.failed(3, "not signed by the CA given");
    let no_ca = place.run(&format!("backup -o x.ark --insecure-skip-tls-verify=false {identity}")).await;
    no_ca.failed(3, "ertificate");
    assert_eq!(place.files(), ["one.ark", "three.ark", "two.ark"]);
}

#[tokio::test]
async fn tls_by_variables_and_without_a_scheme() {
    let tls = Tls::new();
    let place = Place::with(Server::builder().tls(&tls).start().await);
    let mut command = place.ark("backup -o saved.ark");
    command
        .env("ETCDCTL_CACERT", tls.ca())
        .env("ETCDCTL_ENDPOINTS", format!("localhost:{}", place.server.port()));
    run(&mut command).await.succeeded();

    let mut plain = place.ark("backup -o x.ark");
    plain.env("ETCDCTL_ENDPOINTS", format!("http://localhost:{}", place.server.port()));
    run(&mut plain).await.failed(3, "https://");
}
