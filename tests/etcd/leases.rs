//! Leases, and requests that are repeated after their answer was lost.

use std::time::Duration;

use etcd_ark::{
    Client, Compact, Credentials, DisableAuth, EnableAuth, ErrorKind, Get, GrantLease, LeaseId,
    LeaseTimeToLive, ListLeases, Put, Result, Revision, RevokeLease,
};
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Fault, Proxy, Server};

const TTL: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn leases_are_listed_and_tell_their_keys() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    assert_eq!(client.send(ListLeases::new()).await.unwrap().leases, []);
    let long = client.send(GrantLease::new(TTL)).await.unwrap().id;
    let short = client.send(GrantLease::new(TTL / 2)).await.unwrap().id;
    for key in ["a/1", "a/2", "b"] {
        client.send(Put::new(key, "v").lease(long)).await.unwrap();
    }

    assert_eq!(client.send(ListLeases::new()).await.unwrap().leases, [short, long]);
    let asked = async |client: &Client, request| client.send(request).await.unwrap();
    assert!(asked(&client, LeaseTimeToLive::new(long)).await.keys.is_empty());
    let mut keys = asked(&client, LeaseTimeToLive::new(long).with_keys()).await.keys;
    keys.sort();
    assert_eq!(keys, ["a/1", "a/2", "b"]);
    let mut within = asked(&client.namespace("a/"), LeaseTimeToLive::new(long).with_keys()).await.keys;
    within.sort();
    assert_eq!(within, ["1", "2"], "a lease may hold keys outside of a namespace");
}

#[tokio::test]
async fn a_lease_lives_in_whole_seconds_and_not_less_than_the_servers_minimum() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for (asked, granted) in [(Duration::ZERO, 2), (Duration::from_millis(9_500), 10), (TTL, 600)] {
        let lease = client.send(GrantLease::new(asked)).await.unwrap();
        assert!(lease.ttl == Duration::from_secs(granted) && lease.id.0 > 0, "{lease:?}");
    }
    let error = client.send(GrantLease::new(Duration::from_secs(9_000_000_001))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

/// A server whose answers can be kept from a client.
struct Line {
    direct: Client,
    through: Client,
    proxy: Proxy,
    _server: Server,
}

impl Line {
    async fn new() -> Self {
        Self::to(Server::start().await, None).await
    }

    async fn to(server: Server, credentials: Option<Credentials>) -> Self {
        let proxy = Proxy::to(server.port()).await;
        let connect = async |endpoint| {
            let client =
                Client::builder([endpoint]).unwrap().request_timeout(PATIENCE).connect_lazy().unwrap();
            client.set_credentials(credentials.clone());
            client.send(ListLeases::new()).await.unwrap();
            client
        };
        let (direct, through) = (connect(server.endpoint()).await, connect(proxy.endpoint()).await);
        Self { direct, through, proxy, _server: server }
    }

    /// Has the first attempt carried out and its answer lost; then the line works again.
    async fn answer_lost<T>(
        &self,
        call: impl Future<Output = Result<T>>,
        carried_out: impl AsyncFn() -> bool,
    ) -> Result<T> {
        self.proxy.set(Fault::HalfOpen);
        let lose = async {
            let wait = async {
                while !carried_out().await {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(PATIENCE, wait).await.expect("the request does not arrive");
            self.proxy.reset();
            // What the server has said over the old connection is gone for good.
            sleep(Duration::from_millis(100)).await;
            self.proxy.set(Fault::None);
        };
        tokio::join!(call, lose).0
    }

    async fn leases(&self) -> Vec<LeaseId> {
        self.direct.send(ListLeases::new()).await.unwrap().leases
    }
}

#[tokio::test]
async fn a_lease_whose_grant_was_not_answered_is_granted_once() {
    let line = Line::new().await;
    let grant = line.through.send(GrantLease::new(TTL));
    let granted = line.answer_lost(grant, async || !line.leases().await.is_empty()).await.unwrap();
    assert_eq!((line.leases().await, granted.ttl), (vec![granted.id], TTL));
    assert!(granted.header.revision > Revision(0));
}

#[tokio::test]
async fn a_lost_answer_is_not_forgotten_over_a_fresh_token() {
    let server = Server::start().await;
    server.enable_auth("pw").await;
    let line = Line::to(server, Some(Credentials::new("root", "pw"))).await;
    let grant = line.through.send(GrantLease::new(TTL));
    let granted_and_token_gone = async || {
        if line.leases().await.is_empty() {
            return false;
        }
        // No token survives this.
        line.direct.send(DisableAuth::new()).await.unwrap();
        line.direct.send(EnableAuth::new()).await.unwrap();
        true
    };
    let granted = line.answer_lost(grant, granted_and_token_gone).await.unwrap();
    assert_eq!(line.leases().await, [granted.id]);
}

#[tokio::test]
async fn a_chosen_id_may_be_someone_elses_after_a_lost_answer() {
    let line = Line::new().await;
    let grant = line.through.send(GrantLease::new(TTL).id(LeaseId(7)));
    let error = line.answer_lost(grant, async || !line.leases().await.is_empty()).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::AlreadyExists, true), "{error}");
    let error = line.through.send(GrantLease::new(TTL).id(LeaseId(7))).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::AlreadyExists, false), "{error}");
}

#[tokio::test]
async fn a_random_id_that_is_taken_without_a_doubt_is_an_error() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let request = GrantLease::new(TTL);
    client.send(request.clone()).await.unwrap();
    let error = client.send(request).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::AlreadyExists, false), "{error}");
}

#[tokio::test]
async fn a_revocation_that_was_not_answered_is_a_success() {
    let line = Line::new().await;
    let id = line.direct.send(GrantLease::new(TTL)).await.unwrap().id;
    let revoke = line.through.send(RevokeLease::new(id));
    let revoked = line.answer_lost(revoke, async || line.leases().await.is_empty()).await.unwrap();
    assert!(revoked.header.revision > Revision(0));
    let error = line.through.send(RevokeLease::new(id)).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::NotFound, false), "{error}");
}

#[tokio::test]
async fn a_compaction_that_was_not_answered_is_a_success_unless_physical() {
    let line = Line::new().await;
    let old = line.direct.put("k", "1").await.unwrap().header.revision;
    let compacted = async || line.direct.send(Get::new("k").at(old)).await.is_err();
    let newer = line.direct.put("k", "2").await.unwrap().header.revision;
    let done = line.answer_lost(line.through.send(Compact::new(newer)), compacted).await.unwrap();
    assert_eq!(done.header.revision, newer);
    let again = line.through.send(Compact::new(newer)).await.unwrap_err();
    assert_eq!((again.kind(), again.may_have_applied()), (ErrorKind::Compacted, false), "{again}");

    let newest = line.direct.put("k", "3").await.unwrap().header.revision;
    let compacted = async || line.direct.send(Get::new("k").at(newer)).await.is_err();
    let physical = line.through.send(Compact::new(newest).physical());
    let error = line.answer_lost(physical, compacted).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.may_have_applied(), "{error}");
}
