//! Tokens: no caller ever hears of one that ran out, and the server is asked for few.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etcd_ark::{Client, Credentials, ErrorKind, Get};
use rcgen::KeyPair;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::metrics;
use crate::support::{Builder, Fault, Proxy, Server, clock};

const CALLERS: usize = 16;
const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn root_client(server: &Server) -> Client {
    let builder = Client::builder([server.endpoint()]).unwrap();
    builder.credentials(Credentials::new("root", "secret")).connect().await.unwrap()
}

/// How many tokens the server has handed out, by its own count.
async fn authentications(server: &Server) -> u64 {
    metrics::sum(server, "grpc_server_handled_total{grpc_code=\"OK\"", "\"Authenticate\"").await
}

/// Sixteen callers at once, none of whom may see an error; how many tokens they took.
async fn call_at_once(server: &Server, client: &Client) -> u64 {
    let before = authentications(server).await;
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move { client.put(format!("k{number}"), "v").await.unwrap() });
    }
    callers.join_all().await;
    authentications(server).await - before
}

/// Lets callers in time after time, each time after something was done to the token that they have, until they took a
/// token three times: one for all. Of calls that took longer than `quick` another token may have run out meanwhile, and a
/// server that is late may still know the old one.
async fn assert_replaced_once(server: &Server, client: &Client, quick: Duration, spoil: impl AsyncFn()) {
    let mut replaced = 0;
    for _ in 0..30 {
        spoil().await;
        let began = Instant::now();
        let taken = call_at_once(server, client).await;
        if began.elapsed() < quick {
            assert!(taken <= 1, "{taken} tokens for one that was refused");
            replaced += taken;
        }
        if replaced == 3 {
            return;
        }
    }
    panic!("{replaced} of 30 tokens were replaced by quick calls");
}

/// Options for tokens that are JWTs and live this long.
pub(crate) fn jwt(folder: &Path, ttl: &str) -> Builder {
    let key = KeyPair::generate().unwrap();
    let (public, private) = (folder.join("jwt.pub"), folder.join("jwt.key"));
    std::fs::write(&public, key.public_key_pem()).unwrap();
    std::fs::write(&private, key.serialize_pem()).unwrap();
    let token = format!(
        "jwt,pub-key={},priv-key={},sign-method=ES256,ttl={ttl}",
        public.display(),
        private.display()
    );
    Server::builder().flag("--auth-token", &token)
}

#[tokio::test]
async fn an_expired_simple_token_is_replaced_once_for_all_callers() {
    let server = Server::builder().flag("--auth-token-ttl", "3").start().await;
    server.enable_auth("secret").await;
    let client = root_client(&server).await;
    assert_replaced_once(&server, &client, 3 * SECOND, async || sleep(5 * SECOND).await).await;
}

#[tokio::test]
async fn a_token_that_a_restarted_server_has_forgotten_is_replaced_once() {
    let mut server = Server::start().await;
    server.enable_auth("secret").await;
    let client = root_client(&server).await;
    server.restart().await;
    assert!(call_at_once(&server, &client).await <= 1);
}

#[tokio::test]
async fn a_jwt_is_replaced_before_it_expires_and_when_users_change() {
    let folder = TempDir::new().unwrap();
    let server = jwt(folder.path(), "4s").start().await;
    server.enable_auth("secret").await;
    let began = Instant::now();
    let client = root_client(&server).await;
    let mut taken = 0;
    for _ in 0..4 {
        sleep(SECOND).await;
        taken += call_at_once(&server, &client).await;
    }
    // One ends on a whole second: it lives for more than three, and for more than two of them it is not replaced.
    let most = 1 + began.elapsed().as_secs() / 2;
    assert!((1..most).contains(&taken), "{taken} tokens in {:?}", began.elapsed());

    let users = AtomicUsize::new(0);
    let add_user = async || {
        let number = users.fetch_add(1, Ordering::Relaxed);
        server.add_user(&format!("user{number}"), "pass", &[]).await;
    };
    // Every older token is void.
    assert_replaced_once(&server, &client, 2 * SECOND, add_user).await;
}

#[tokio::test]
async fn who_has_little_time_does_not_wait_for_the_token_of_somebody_with_more() {
    let server = Server::start().await;
    server.enable_auth("secret").await;
    let proxy = Proxy::to(server.port()).await;
    proxy.set(Fault::BlackHole);
    let builder = Client::builder([proxy.endpoint()]).unwrap();
    let client = builder.credentials(Credentials::new("root", "secret")).connect_lazy().unwrap();
    let patient = client.clone();
    let waiting = tokio::spawn(async move { patient.send_within(Get::new("k"), 120 * SECOND).await });
    let hasty = async {
        sleep(SECOND).await;
        client.send_within(Get::new("k"), SECOND).await.unwrap_err()
    };
    let error = clock::within(30 * SECOND, hasty).await.expect("it waits for the other's token");
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Deadline, false), "{error}");
    proxy.set(Fault::None);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_jwt_of_a_second_is_no_trouble() {
    let folder = TempDir::new().unwrap();
    let server = jwt(folder.path(), "1s").start().await;
    server.enable_auth("secret").await;
    let client = root_client(&server).await;
    for _ in 0..30 {
        sleep(SECOND / 10).await;
        let began = Instant::now();
        let put = client.put("k", "v").await;
        // Several tokens may run out on the way to a server that is slower than they are short.
        assert!(put.is_ok() || began.elapsed() > SECOND / 2, "{put:?}");
    }
}

#[tokio::test]
async fn a_changed_password_is_one_error_a_call_and_new_credentials_cure_it() {
    let server = Server::start().await;
    server.enable_auth("secret").await;
    server.add_user("app", "old", &[(crate::support::Permission::ReadWrite, "")]).await;
    let builder = Client::builder([server.endpoint()]).unwrap();
    let client = builder.credentials(Credentials::new("app", "old")).connect().await.unwrap();
    client.put("k", "v").await.unwrap();
    server.etcdctl(&["user", "delete", "app"]).await;
    server.add_user("app2", "new", &[(crate::support::Permission::ReadWrite, "")]).await;

    let error = client.put("k", "v").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(!error.may_have_applied() && error.attempts() <= 2, "{error}");
    client.set_credentials(Credentials::new("app2", "new"));
    client.put("k", "v").await.unwrap();
    client.set_credentials(None);
    assert_eq!(client.put("k", "v").await.unwrap_err().kind(), ErrorKind::Auth);
}
