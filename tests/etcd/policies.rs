//! What becomes of leases, users and roles in a restore.

use std::path::PathBuf;
use std::time::Duration;

use etcd_ark::archive::{self, Auth, Compression, Cutter, Encoder};
use etcd_ark::backup::{
    ArchiveFile, Backup, LeasePolicy, LeaseTtl, Restore, RestoreMode, RestoreReport, Selection, Undo,
    UserPlan,
};
use etcd_ark::{
    Client, Credentials, ErrorKind, GetRole, GetUser, GrantLease, KeyRange, KeyValue, LeaseId,
    LeaseTimeToLive, ListLeases, ListUsers, Put, RevokeLease,
};
use tempfile::{TempDir, tempdir};

use crate::client_of;
use crate::support::{Permission, Server};

const FULL: Duration = Duration::from_secs(600);

/// A server that held three keys when `saved.ark` was made, two with one lease, and holds nothing now.
struct Leased {
    client: Client,
    lease: LeaseId,
    folder: TempDir,
    _server: Server,
}

impl Leased {
    async fn new() -> Self {
        let server = Server::start().await;
        let client = client_of(&server).await;
        let lease = client.send(GrantLease::new(FULL)).await.unwrap().id;
        for key in ["a/1", "a/2"] {
            client.send(Put::new(key, "v").lease(lease)).await.unwrap();
        }
        client.put("b", "v").await.unwrap();
        let leased = Self { client, lease, folder: tempdir().unwrap(), _server: server };
        tokio::time::sleep(Duration::from_millis(2100)).await;
        Backup::new().save(&leased.client, leased.path("saved.ark")).await.unwrap();
        leased.client.send(RevokeLease::new(lease)).await.unwrap();
        leased.client.delete(KeyRange::all()).await.unwrap();
        leased
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn restore(&self, restore: Restore) -> RestoreReport {
        let mut archive = ArchiveFile::open(self.path("saved.ark")).await.unwrap();
        restore.plan(&self.client, &mut archive).await.unwrap().apply().await.unwrap()
    }

    async fn lease_of(&self, key: &str) -> Option<LeaseId> {
        self.client.get(key.to_owned()).await.unwrap().unwrap().lease
    }

    async fn granted(&self, lease: LeaseId) -> Duration {
        self.client.send(LeaseTimeToLive::new(lease)).await.unwrap().lease.unwrap().granted
    }
}

fn refuse(policy: LeasePolicy) -> Restore {
    Restore::new(RestoreMode::Refuse).leases(policy)
}

#[tokio::test]
async fn new_leases_are_shared_again_and_found_again() {
    let leased = Leased::new().await;
    // As if the restore had been cut off after the first key.
    leased.restore(refuse(LeasePolicy::NewId).select(KeyRange::key("a/1"))).await;
    let report = leased.restore(refuse(LeasePolicy::NewId)).await;
    assert_eq!((report.written, report.kept, report.leases), (2, 1, 1));
    let new = leased.lease_of("a/1").await.unwrap();
    assert_eq!(leased.lease_of("a/2").await, Some(new));
    assert!(new != leased.lease && leased.lease_of("b").await.is_none());
    assert_eq!(leased.granted(new).await, FULL);
    let check = report.check.unwrap();
    assert!(check.equal && (check.same, check.different) == (3, 0), "{check:?}");
    assert_eq!(leased.restore(refuse(LeasePolicy::NewId)).await.written, 0, "they are the same already");

    let elsewhere = Selection::from(KeyRange::prefix("a/")).rename("a/", "c/");
    leased.restore(refuse(LeasePolicy::NewId).select(elsewhere)).await;
    let other = leased.lease_of("c/1").await;
    assert!(other == leased.lease_of("c/2").await && other != Some(new), "a copy lives on its own");
}

#[tokio::test]
async fn dropped_leases_leave_keys_that_stay() {
    let leased = Leased::new().await;
    let report = leased.restore(refuse(LeasePolicy::Drop)).await;
    assert_eq!((report.written, report.leases), (3, 0));
    assert_eq!(
        (leased.lease_of("a/1").await, leased.client.send(ListLeases::new()).await.unwrap().leases),
        (None, vec![])
    );
    assert_eq!(leased.restore(refuse(LeasePolicy::Drop)).await.written, 0);
    let replaced = leased.restore(Restore::new(RestoreMode::Replace)).await;
    assert_eq!(
        (replaced.written, leased.lease_of("a/1").await),
        (2, Some(leased.lease)),
        "another policy, another state"
    );
}

/// As other programs may write it: etcd-ark's own archives list every lease.
fn without_its_leases(header: &archive::Header, kvs: &[KeyValue]) -> Vec<u8> {
    let (mut encoder, start) = Encoder::new(header).unwrap();
    let mut cutter = Cutter::new();
    kvs.iter().for_each(|kv| assert!(cutter.push(kv).unwrap().is_none()));
    let block = encoder.append(cutter.finish().unwrap().seal(Compression::default())).unwrap();
    [start, block, encoder.finish().unwrap().0].concat()
}

#[tokio::test]
async fn leases_that_an_archive_does_not_list_follow_the_policy_too() {
    let leased = Leased::new().await;
    let mut saved = ArchiveFile::open(leased.path("saved.ark")).await.unwrap();
    let kvs = saved.records(KeyRange::all()).next_block().await.unwrap().unwrap();
    std::fs::write(leased.path("saved.ark"), without_its_leases(saved.header(), &kvs)).unwrap();
    leased.restore(refuse(LeasePolicy::Drop)).await;
    assert_eq!(leased.lease_of("a/1").await, None);
    assert_eq!(leased.restore(refuse(LeasePolicy::Drop)).await.written, 0);
    leased.client.delete(KeyRange::key("b")).await.unwrap();
    let replaced = leased.restore(Restore::new(RestoreMode::Replace)).await;
    assert_eq!((replaced.written, leased.lease_of("a/1").await), (3, Some(leased.lease)));
}

#[tokio::test]
async fn leases_live_as_long_as_they_had_left_if_that_is_wanted() {
    let leased = Leased::new().await;
    leased.restore(refuse(LeasePolicy::SameId).lease_ttl(LeaseTtl::Remaining)).await;
    let granted = leased.granted(leased.lease).await;
    assert!(granted < FULL && granted > FULL / 2, "{granted:?}");
}

#[tokio::test]
async fn a_restore_with_other_leases_can_be_undone() {
    for policy in [LeasePolicy::NewId, LeasePolicy::Drop] {
        let leased = Leased::new().await;
        leased.client.put("a/1", "mine").await.unwrap();
        let restore = Restore::new(RestoreMode::Replace).leases(policy);
        leased.restore(restore.save_undo(leased.path("undo.ark"))).await;
        let mut undo = ArchiveFile::open(leased.path("undo.ark")).await.unwrap();
        let mut saved = ArchiveFile::open(leased.path("saved.ark")).await.unwrap();
        let plan = Undo::new().plan(&leased.client, &mut undo, &mut saved).await.unwrap();
        let report = plan.apply().await.unwrap();
        assert_eq!((report.written, report.deleted, report.kept), (1, 2, 0), "{policy:?}");
        assert_eq!(leased.client.get("a/1").await.unwrap().unwrap().value, "mine");
    }
}

/// What a cluster with users says of them, read by a backup.
async fn saved_users() -> Auth {
    let server = Server::start().await;
    server.enable_auth("secret").await;
    server.add_user("app", "pass", &[(Permission::ReadWrite, "a/"), (Permission::Read, "b/")]).await;
    server.add_user("viewer", "pass", &[(Permission::Read, "")]).await;
    let client = as_user(&server, "root", "secret").await;
    Backup::new().write_to(&client, &mut tokio::io::sink()).await.unwrap().auth
}

async fn as_user(server: &Server, name: &str, password: &str) -> Client {
    let client = Client::builder([server.endpoint()]).unwrap();
    client.credentials(Credentials::new(name, password)).connect().await.unwrap()
}

#[tokio::test]
async fn users_and_roles_are_added_and_their_passwords_work() {
    let auth = saved_users().await;
    let server = Server::start().await;
    let client = client_of(&server).await;
    let plan = UserPlan::of(&client, &auth).await.unwrap();
    assert_eq!(client.send(ListUsers::new()).await.unwrap().users, [""; 0], "a plan changes nothing");
    let passwords = plan.password("app", "new-pass").password("root", "new-secret");
    assert!(!format!("{passwords:?}").contains("new-"), "{passwords:?}");
    passwords.apply().await.unwrap();
    assert_eq!(UserPlan::of(&client, &auth).await.unwrap().changes(), []);

    server.etcdctl(&["auth", "enable"]).await;
    let app = as_user(&server, "app", "new-pass").await;
    app.put("a/k", "v").await.unwrap();
    app.get("b/k").await.unwrap();
    assert_eq!(app.put("b/k", "v").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    as_user(&server, "root", "new-secret").await.put("c", "v").await.unwrap();
    let nobody =
        Client::builder([server.endpoint()]).unwrap().credentials(Credentials::new("viewer", "pass"));
    assert_eq!(nobody.connect().await.unwrap_err().kind(), ErrorKind::Auth, "a user without a password");
}

#[tokio::test]
async fn users_that_are_there_keep_what_they_have() {
    let auth = saved_users().await;
    let server = Server::start().await;
    server.enable_auth("mine").await;
    server.add_user("app", "own", &[(Permission::Write, "b/"), (Permission::ReadWrite, "mine/")]).await;
    let client = as_user(&server, "root", "mine").await;
    UserPlan::of(&client, &auth).await.unwrap().password("app", "other").apply().await.unwrap();
    assert_eq!(client.send(GetRole::new("app")).await.unwrap().permissions.len(), 3);
    assert_eq!(client.send(GetUser::new("viewer")).await.unwrap().roles, ["viewer"]);
    let app = as_user(&server, "app", "own").await;
    for key in ["a/k", "b/k", "mine/k"] {
        app.put(key, "v").await.unwrap();
        app.get(key).await.unwrap();
    }
    let denied = UserPlan::of(&app, &auth).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");
    let unknown = Auth { missing: "permission denied".into(), ..Auth::default() };
    let error = UserPlan::of(&client, &unknown).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("permission denied"), "{error}");
}
