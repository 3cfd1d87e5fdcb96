//! Every administrative request on every version of etcd that this machine can get.

use std::fmt::Debug;
use std::io::{Write, stderr};
use std::time::Duration;

use etcd_ark::service::{Campaign, Leader, Lock, Resign, Unlock};
use etcd_ark::{
    Access, AddMember, AddRole, AddUser, AlarmKind, AuthStatus, ChangePassword, Client, Compact, DeleteRole,
    DeleteUser, DisableAuth, DisarmAlarm, Downgrade, EnableAuth, Error, ErrorKind, Get, GetRole, GetUser,
    GrantLease, GrantPermission, GrantRole, KeyRange, LeaseTimeToLive, ListAlarms, ListLeases, ListMembers,
    ListRoles, ListUsers, Permission, Put, RaiseAlarm, RemoveMember, Request, RevokeLease, RevokePermission,
    RevokeRole, Txn, UpdateMember,
};

use crate::client_of;
use crate::support::{Server, all_versions, default_version, try_binaries};

/// What came of each request, by its name.
struct Table<'a> {
    client: &'a Client,
    version: (u32, u32),
    failures: Vec<String>,
    asked: usize,
}

impl Table<'_> {
    /// Sends a request that came with this version of etcd.
    async fn since<R: Request<Response: Debug> + Debug>(&mut self, since: (u32, u32), request: R) {
        let name = format!("{request:?}");
        let outcome = self.client.send(request).await;
        self.note(since, &name, outcome);
    }

    /// Sends a request that all versions know.
    async fn always<R: Request<Response: Debug> + Debug>(&mut self, request: R) {
        self.since((3, 0), request).await;
    }

    fn note<T: Debug>(&mut self, since: (u32, u32), name: &str, outcome: Result<T, Error>) {
        let good = match &outcome {
            Ok(_) => self.version >= since,
            Err(error) => {
                let needed = format!("etcd {}.{} is needed", since.0, since.1);
                let too_old = error.kind() == ErrorKind::ServerTooOld;
                self.version < since && too_old && error.to_string().contains(&needed)
            }
        };
        self.asked += 1;
        if !good {
            self.failures.push(format!("{name}: {outcome:?}"));
        }
    }
}

async fn keys_and_leases(table: &mut Table<'_>) {
    let id = table.client.send(GrantLease::new(Duration::from_secs(60))).await.unwrap().id;
    table.always(Put::new("k", "v").lease(id)).await;
    table.always(Put::keep_value("k").keep_lease()).await;
    table.always(LeaseTimeToLive::new(id).with_keys()).await;
    table.always(ListLeases::new()).await;
    table.always(Txn::new().then(Txn::new().then(Get::new("k")))).await;
    let lock = table.client.send(Lock::new("lock", id)).await.unwrap();
    table.always(Unlock::new(lock.key)).await;
    let won = table.client.send(Campaign::new("election", id, "me")).await.unwrap();
    table.always(Leader::new("election")).await;
    table.always(Resign::new(won.leader)).await;
    table.always(RevokeLease::new(id)).await;
    let revision = table.client.put("k", "v").await.unwrap().header.revision;
    table.always(Compact::new(revision).physical()).await;
}

async fn users_and_roles(table: &mut Table<'_>) {
    table.always(AddUser::new("root", "pw")).await;
    table.always(AddUser::without_password("u")).await;
    table.always(AddRole::new("root")).await;
    table.always(AddRole::new("r")).await;
    table.always(GrantRole::new("root", "root")).await;
    table.always(GrantRole::new("u", "r")).await;
    table.always(ChangePassword::new("root", "new")).await;
    let all = KeyRange::all;
    table.always(GrantPermission::new("r", Permission::new(Access::Read, all()))).await;
    table.always(GetRole::new("r")).await;
    table.always(ListRoles::new()).await;
    table.always(GetUser::new("u")).await;
    table.always(ListUsers::new()).await;
    table.since((3, 5), AuthStatus::new()).await;
    table.always(RevokePermission::new("r", all())).await;
    table.always(RevokeRole::new("u", "r")).await;
    table.always(DeleteUser::new("u")).await;
    table.always(DeleteRole::new("r")).await;
    table.always(EnableAuth::new()).await;
    table.client.set_credentials(etcd_ark::Credentials::new("root", "new"));
    table.since((3, 5), AuthStatus::new()).await;
    table.always(DisableAuth::new()).await;
}

async fn members(table: &mut Table<'_>) {
    table.always(ListMembers::new()).await;
    let own = table.client.send(ListMembers::new()).await.unwrap().members.remove(0);
    let learner = AddMember::new(["http://127.0.0.1:1"]).learner();
    let added = table.client.send(learner).await.unwrap().member;
    table.always(UpdateMember::new(added.id, ["http://127.0.0.1:2"])).await;
    table.always(RemoveMember::new(added.id)).await;
    table.always(ListAlarms::new()).await;
    table.always(RaiseAlarm::new(own.id, AlarmKind::NoSpace)).await;
    let raised = table.client.send(ListAlarms::new()).await.unwrap().alarms;
    assert_eq!(raised.iter().map(|alarm| alarm.kind).collect::<Vec<_>>(), [AlarmKind::NoSpace]);
    assert_eq!(table.client.put("k", "v").await.unwrap_err().kind(), ErrorKind::NoSpace);
    table.always(DisarmAlarm::new(raised[0])).await;

    let member = table.client.members().remove(0);
    let status = member.status().await.unwrap();
    let told = [status.storage_version.is_some(), status.db_size_quota.is_some(), status.downgrade.is_some()];
    assert_eq!(told, [table.version >= (3, 6); 3], "{status:?}");
    let newest = table.client.put("k", "newer than what is compacted").await.unwrap().header.revision;
    let hashed = member.hash_kv(newest).await;
    let told = hashed.as_ref().is_ok_and(|hashed| hashed.hash_revision.is_some());
    assert_eq!(told, table.version >= (3, 6), "{hashed:?}");
    table.note((3, 0), "hash_kv", hashed);
    table.note((3, 0), "hash", member.hash().await);
    table.note((3, 0), "defragment", member.defragment(Duration::from_secs(60)).await);
    table.note((3, 0), "move_leader", member.move_leader(own.id).await);
}

async fn downgrades(table: &mut Table<'_>) {
    let before = format!("3.{}.0", table.version.1 - 1);
    table.since((3, 5), Downgrade::validate(&before)).await;
    // Servers of 3.5 know the call but answer only whether it could be.
    if table.version != (3, 5) {
        table.since((3, 5), Downgrade::enable(&before)).await;
        table.since((3, 5), Downgrade::cancel()).await;
    }
    if table.version >= (3, 5) {
        let error = table.client.send(Downgrade::validate("3.1.0")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    }
}

async fn ask_everything(version: &str) -> usize {
    let server = Server::builder().version(version).start().await;
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    let version = (parts.next().unwrap(), parts.next().unwrap());
    let client = client_of(&server).await;
    let mut table = Table { client: &client, version, failures: Vec::new(), asked: 0 };
    keys_and_leases(&mut table).await;
    members(&mut table).await;
    users_and_roles(&mut table).await;
    downgrades(&mut table).await;
    assert!(table.failures.is_empty(), "on {version:?}:\n{}", table.failures.join("\n"));
    table.asked
}

#[tokio::test]
async fn every_request_on_every_version() {
    let (mut ran, mut missing) = (Vec::new(), Vec::new());
    for version in all_versions() {
        match try_binaries(&version) {
            Ok(_) => ran.push(format!("{version} ({} requests)", ask_everything(&version).await)),
            Err(why) => missing.push(format!("etcd {version} could not be got: {why}")),
        }
    }
    writeln!(stderr(), "every request was sent to etcd {}", ran.join(", ")).unwrap();
    missing.iter().for_each(|why| writeln!(stderr(), "{why}").unwrap());
    assert!(ran.iter().any(|ran| ran.starts_with(&default_version())), "not even the default version ran");
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "CI runs every version");
}
