//! Watches and users: a stream keeps the token that it was opened with, whatever becomes of that.

use std::time::Duration;

use etcd_ark::{Client, Credentials, ErrorKind, KeyRange, Revision, Watch, WatchStream};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{Permission, Server};
use crate::tokens::{jwt, root_client};
use crate::watch::{VERSIONS, changes, end, shown};

/// A watch of `k` that has seen a change of it.
async fn working_watch(client: &Client) -> WatchStream {
    let mut watch = client.watch("k");
    watch.started().await.unwrap();
    client.put("k", "first").await.unwrap();
    assert_eq!(shown(&changes(&mut watch).await), ["+k=first"]);
    watch
}

/// Lets tokens run out and sees new watches begin beside the old ones, which go on.
async fn outlive_tokens(server: &Server, pause: Duration) {
    let client = root_client(server).await;
    let mut watches = Vec::new();
    for round in 0..3 {
        sleep(pause).await;
        watches.push(working_watch(&client).await);
        let value = round.to_string();
        client.put("k", value.clone()).await.unwrap();
        for watch in &mut watches {
            // The older ones saw what was put for the new one, too.
            while shown(&changes(watch).await) != [format!("+k={value}")] {}
        }
    }
}

#[tokio::test]
async fn new_watches_begin_after_a_simple_token_ran_out() {
    for version in VERSIONS {
        let server = Server::builder().version(version).flag("--auth-token-ttl", "1").start().await;
        server.enable_auth("secret").await;
        outlive_tokens(&server, Duration::from_millis(2200)).await;
    }
}

#[tokio::test]
async fn new_watches_begin_after_a_jwt_ran_out_or_users_changed() {
    let folder = TempDir::new().unwrap();
    let server = jwt(folder.path(), "1s").start().await;
    server.enable_auth("secret").await;
    outlive_tokens(&server, Duration::from_millis(1500)).await;

    let client = root_client(&server).await;
    let mut before = working_watch(&client).await;
    server.add_user("another", "pass", &[]).await;
    let mut after = working_watch(&client).await;
    assert_eq!(shown(&changes(&mut before).await), ["+k=first"]);
    client.put("k", "second").await.unwrap();
    for watch in [&mut before, &mut after] {
        assert_eq!(shown(&changes(watch).await), ["+k=second"]);
    }
}

#[tokio::test]
async fn who_may_not_watch_a_range_hears_so_and_other_watches_go_on() {
    for version in VERSIONS {
        let server = Server::builder().version(version).start().await;
        server.enable_auth("secret").await;
        server.add_user("app", "pass", &[(Permission::ReadWrite, "app/")]).await;
        let client = client_as(&server, "app", "pass").await;
        let from = client.put("app/k", "0").await.unwrap().header.revision;
        let mut working = client.watch(Watch::new(KeyRange::prefix("app/")).from(from));
        assert_eq!(shown(&changes(&mut working).await), ["+app/k=0"]);
        // With and without the read that tells where "now" is; the stream is there already, and is not.
        let mut denied = vec![client.watch("other"), client.watch(Watch::new("other").from(from))];
        denied.push(client_as(&server, "app", "pass").await.watch(Watch::new("other").from(from)));
        for watch in &mut denied {
            let error = end(watch).await;
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{version}: {error}");
        }
        client.put("app/k", "1").await.unwrap();
        assert_eq!(shown(&changes(&mut working).await), ["+app/k=1"]);
    }
}

async fn client_as(server: &Server, user: &str, password: &str) -> Client {
    let builder = Client::builder([server.endpoint()]).unwrap();
    builder.credentials(Credentials::new(user, password)).connect().await.unwrap()
}

#[tokio::test]
async fn without_credentials_or_with_wrong_ones_a_watch_ends_at_once() {
    // Older ones tell an anonymous watcher that permission is denied.
    let server = Server::builder().version("3.7.3").start().await;
    let from = Revision(1);
    server.enable_auth("secret").await;
    let anonymous = Client::builder([server.endpoint()]).unwrap().connect_lazy().unwrap();
    let builder = Client::builder([server.endpoint()]).unwrap();
    let wrong = builder.credentials(Credentials::new("root", "wrong")).connect_lazy().unwrap();
    for client in [anonymous, wrong] {
        for watch in [Watch::new("k"), Watch::new("k").from(from)] {
            let error = end(&mut client.watch(watch)).await;
            assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        }
    }
}
