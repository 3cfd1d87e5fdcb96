//! Coming to a cluster: endpoints, TLS, users, members that are down, and every wrong way to try.

use std::path::Path;
use std::time::Duration;

use etcd_ark::{Client, ClientBuilder, Credentials, Error, ErrorKind, TlsConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::timeout;

use crate::support::{Cluster, Permission, Server, Tls, clock};
use crate::{client_of, refusal};

fn builder(endpoint: impl AsRef<str>) -> ClientBuilder {
    Client::builder([endpoint]).unwrap().connect_timeout(Duration::from_secs(5))
}

/// The error of connecting, which must come within some seconds and tell `expected`.
async fn refused(builder: ClientBuilder, kind: ErrorKind, expected: &str) -> Error {
    let began = clock::now();
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(expected), "{error}");
    let took = clock::now() - began;
    assert!(took < Duration::from_secs(15), "took {took:?}");
    error
}

#[tokio::test]
async fn no_server_at_all() {
    let error = refused(builder("127.0.0.1:1"), ErrorKind::Unavailable, "Connection refused").await;
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    refused(builder("no-such-host.invalid:2379"), ErrorKind::Unavailable, "no-such-host.invalid").await;
}

#[tokio::test]
async fn a_port_that_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = silent.local_addr().unwrap().to_string();
    let builder = builder(endpoint).request_timeout(Duration::from_secs(5));
    refused(builder, ErrorKind::Unavailable, "no answer in time").await;
}

/// A port that takes connections and says nothing, not even about TLS.
async fn silent_tls() -> (TcpListener, ClientBuilder) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", silent.local_addr().unwrap());
    (silent, builder(endpoint).tls(TlsConfig::new().dangerous_skip_verification()))
}

#[tokio::test]
async fn a_write_whose_time_ends_before_there_is_a_connection_was_not_carried_out() {
    let (_silent, builder) = silent_tls().await;
    let client = builder.request_timeout(Duration::from_secs(1)).connect_lazy().unwrap();
    let error = client.put("k", "v").await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Deadline, false), "{error}");
    assert!(error.to_string().contains("no connection in time"), "{error}");
}

#[tokio::test]
async fn a_port_that_is_too_slow_to_connect_to_is_tried_once_more() {
    let (slow, builder) = silent_tls().await;
    let builder = builder.connect_timeout(Duration::from_secs(1)).request_timeout(Duration::from_secs(60));
    let connections = async {
        for _ in 0..2 {
            let mut caller = slow.accept().await.unwrap().0;
            tokio::spawn(async move { caller.read_to_end(&mut Vec::new()).await });
        }
        drop(slow);
    };
    let refused = refused(builder, ErrorKind::Unavailable, "no connection within the connect timeout of 1s");
    let (_, tried) = tokio::join!(refused, timeout(Duration::from_secs(60), connections));
    tried.expect("there is no second try");
}

#[tokio::test]
async fn a_port_of_something_else() {
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = web.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut caller, _) = web.accept().await.unwrap();
        caller.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
    });
    refused(builder(endpoint), ErrorKind::Unavailable, "is this etcd's client port?").await;
}

#[tokio::test]
async fn http_to_an_https_port() {
    let server = Server::builder().tls(&Tls::new()).start().await;
    let endpoint = server.endpoint().replace("https", "http");
    refused(builder(endpoint), ErrorKind::Unavailable, "https://").await;
}

#[tokio::test]
async fn https_to_an_http_port() {
    let server = Server::start().await;
    let endpoint = server.endpoint().replace("http", "https");
    let tls = Tls::new();
    let builder = builder(endpoint).tls(TlsConfig::new().ca_file(tls.ca()));
    refused(builder, ErrorKind::Unavailable, "use http://").await;
}

#[tokio::test]
async fn a_server_of_another_ca() {
    let server = Server::builder().tls(&Tls::new()).start().await;
    let stranger = Tls::new();
    let builder = builder(server.endpoint()).tls(TlsConfig::new().ca_file(stranger.ca()));
    refused(builder, ErrorKind::Unavailable, "not signed by the CA given").await;
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_hold() {
    let tls = Tls::new();
    let server = Server::builder().tls(&tls).start().await;
    let config = TlsConfig::new().ca_file(tls.ca()).server_name("etcd.example");
    refused(builder(server.endpoint()).tls(config), ErrorKind::Unavailable, "give the server name to expect")
        .await;
}

#[tokio::test]
async fn no_client_certificate_where_one_is_wanted() {
    let tls = Tls::new();
    let server = Server::builder().mtls(&tls).start().await;
    let config = TlsConfig::new().ca_file(tls.ca());
    // A server of TLS 1.3 may close the connection before its reason arrives: then we can only guess.
    refused(builder(server.endpoint()).tls(config), ErrorKind::Unavailable, "ertificate").await;
}

#[tokio::test]
async fn tls_with_ca_with_certificate_and_without_verification() {
    let tls = Tls::new();
    let server = Server::builder().mtls(&tls).start().await;
    let identity = tls.client("someone");
    let with_identity = |config: TlsConfig| config.identity_files(&identity.cert, &identity.key);
    let trusting = with_identity(TlsConfig::new().ca_file(tls.ca()));
    let named = with_identity(TlsConfig::new().ca_file(tls.ca()).server_name("localhost"));
    let careless = with_identity(TlsConfig::new().dangerous_skip_verification());
    for config in [trusting, named, careless] {
        let client = builder(server.endpoint()).tls(config).connect().await.unwrap();
        client.put("k", "v").await.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_without_a_scheme_uses_tls_when_it_is_configured() {
    let tls = Tls::new();
    let server = Server::builder().tls(&tls).start().await;
    let endpoint = format!("localhost:{}", server.port());
    let client = builder(endpoint).tls(TlsConfig::new().ca_file(tls.ca())).connect().await.unwrap();
    client.put("k", "v").await.unwrap();
}

/// A socket in the file system that leads to a server: not every version can listen at one itself.
fn forward(socket: &Path, port: u16) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
}

#[tokio::test]
async fn a_unix_socket_with_and_without_tls() {
    let tls = Tls::new();
    let folder = tempfile::tempdir().unwrap();
    let (open, sealed) = (folder.path().join("open.sock"), folder.path().join("sealed.sock"));
    let plain = Server::start().await;
    let encrypted = Server::builder().tls(&tls).start().await;
    forward(&open, plain.port());
    forward(&sealed, encrypted.port());
    let client = builder(format!("unix://{}", open.display())).connect().await.unwrap();
    client.put("k", "v").await.unwrap();
    let config = TlsConfig::new().ca_file(tls.ca());
    let client = builder(format!("unixs://{}", sealed.display())).tls(config).connect().await.unwrap();
    client.put("k", "v").await.unwrap();
    refused(builder("unix:///nowhere/etcd.sock"), ErrorKind::Unavailable, "No such file").await;
}

#[tokio::test]
async fn replaced_certificate_files_are_used_by_the_next_connection() {
    let (old, new) = (Tls::new(), Tls::new());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let install = |tls: &Tls| {
        let identity = tls.client("someone");
        std::fs::copy(tls.ca(), file("ca.pem")).unwrap();
        std::fs::copy(identity.cert, file("cert.pem")).unwrap();
        std::fs::copy(identity.key, file("key.pem")).unwrap();
    };
    install(&old);
    let mut server = Server::builder().mtls(&old).start().await;
    let config = TlsConfig::new().ca_file(file("ca.pem")).identity_files(file("cert.pem"), file("key.pem"));
    let client = builder(server.endpoint()).tls(config).connect().await.unwrap();
    client.put("k", "v").await.unwrap();

    server.kill();
    server.replace_certificates(&new);
    server.restart().await;
    let refused = refusal(async || client.get("k").await).await;
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "the server has a new CA: {refused}");
    std::fs::write(file("ca.pem"), "half writ").unwrap();
    client.get("k").await.unwrap_err();
    install(&new);
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "v");
}

#[tokio::test]
async fn users_passwords_and_permissions() {
    let server = Server::start().await;
    server.enable_auth("secret").await;
    server.add_user("reader", "pass", &[(Permission::Read, "open/")]).await;
    let as_user = |user, password| builder(server.endpoint()).credentials(Credentials::new(user, password));

    refused(as_user("root", "hunter2"), ErrorKind::Auth, "authentication failed").await;
    refused(as_user("nobody", "secret"), ErrorKind::Auth, "authentication failed").await;
    let root = as_user("root", "secret").connect().await.unwrap();
    root.put("open/k", "v").await.unwrap();

    let reader = as_user("reader", "pass").connect().await.unwrap();
    assert_eq!(reader.get("open/k").await.unwrap().unwrap().value, "v");
    let denied = reader.put("open/k", "w").await.unwrap_err();
    assert_eq!((denied.kind(), denied.may_have_applied()), (ErrorKind::PermissionDenied, false));

    let anonymous = client_of(&server).await;
    let unknown = anonymous.get("open/k").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Auth);
    assert!(unknown.to_string().contains("wants a user and password"), "{unknown}");
}

#[tokio::test]
async fn a_client_certificate_is_a_user_and_a_password_beside_it_counts_more() {
    let tls = Tls::new();
    let server = Server::builder().mtls(&tls).start().await;
    server.enable_auth("secret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "app/")]).await;
    let identity = tls.client("app");
    let config = TlsConfig::new().ca_file(tls.ca()).identity_files(identity.cert, identity.key);
    let by_certificate = builder(server.endpoint()).tls(config.clone()).connect().await.unwrap();
    by_certificate.put("app/k", "v").await.unwrap();
    let denied = by_certificate.put("other", "v").await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");

    let both = builder(server.endpoint()).tls(config).credentials(Credentials::new("root", "secret"));
    both.connect().await.unwrap().put("other", "v").await.unwrap();
}

#[tokio::test]
async fn credentials_are_ignored_while_authentication_is_off_and_used_once_it_is_on() {
    let server = Server::start().await;
    let client = builder(server.endpoint()).credentials(Credentials::new("root", "secret"));
    let client = client.connect().await.unwrap();
    client.put("k", "1").await.unwrap();
    server.enable_auth("secret").await;
    client.put("k", "2").await.unwrap();
}

/// A client whose reads outlast an election on a machine that stands still meanwhile.
async fn patient(cluster: &Cluster) -> Client {
    let builder = Client::builder(cluster.endpoints()).unwrap().request_timeout(Duration::from_secs(30));
    builder.connect().await.unwrap()
}

#[tokio::test]
async fn a_dead_member_costs_no_error() {
    let mut cluster = Cluster::start(3).await;
    let client = patient(&cluster).await;
    cluster.member_mut(0).kill();
    for round in 0..30 {
        client.get(format!("k{round}")).await.unwrap();
    }
    let error = client.members()[0].status().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_paused_member_costs_no_read() {
    let cluster = Cluster::start(3).await;
    let client = patient(&cluster).await;
    cluster.member(0).pause();
    for round in 0..30 {
        client.get(format!("k{round}")).await.unwrap();
    }
    cluster.member(0).resume();
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let mut server = Server::start().await;
    let client = client_of(&server).await;
    client.put("k", "v").await.unwrap();
    server.restart().await;
    assert_eq!(client.get("k").await.unwrap().unwrap().value, "v");
}
