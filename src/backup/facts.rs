use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::archive::{Auth, AuthState, Members, RaisedAlarm, Role, RolePermission, SavedMember, User};
use crate::client::{
    Access, Alarm, AlarmKind, AuthStatus, Client, GetRole, GetUser, ListAlarms, ListMembers, ListRoles,
    ListUsers, MemberInfo, Permission,
};
use crate::error::Result;
use crate::types::MemberId;

/// How long to wait for the members to tell their versions, which are for the record only.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);

/// Users and roles. What can't be read, for want of rights most likely, is a note and no failure: the keys
/// are the backup.
pub(super) async fn read_auth(client: &Client) -> Auth {
    let state = match client.send(AuthStatus::new()).await {
        Ok(status) if status.enabled => AuthState::On,
        Ok(_) => AuthState::Off,
        // 3.4 has no such request.
        Err(_) => AuthState::Unknown,
    };
    match read_users_and_roles(client).await {
        Ok((users, roles)) => Auth { state, users, roles, missing: String::new() },
        Err(error) => Auth { state, missing: error.to_string(), ..Auth::default() },
    }
}

pub(super) async fn read_users_and_roles(client: &Client) -> Result<(Vec<User>, Vec<Role>)> {
    let mut users = Vec::new();
    for name in sorted(client.send(ListUsers::new()).await?.users) {
        let roles = client.send(GetUser::new(&name)).await?.roles;
        users.push(User { name, roles });
    }
    let mut roles = Vec::new();
    for name in sorted(client.send(ListRoles::new()).await?.roles) {
        let permissions = client.send(GetRole::new(&name)).await?.permissions;
        roles.push(Role { name, permissions: permissions.into_iter().map(saved_permission).collect() });
    }
    Ok((users, roles))
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn saved_permission(permission: Permission) -> RolePermission {
    let (read, write) = match permission.access {
        Access::Read => (true, false),
        Access::Write => (false, true),
        Access::ReadWrite => (true, true),
    };
    RolePermission { read, write, range: permission.range }
}

/// Members, their versions, and alarms; notes for want of rights as with [`read_auth`].
pub(super) async fn read_members(client: &Client) -> Members {
    let mut saved = Members::default();
    let (listed, alarms) = (client.send(ListMembers::new()).await, client.send(ListAlarms::new()).await);
    let mut missing = Vec::new();
    match listed {
        Ok(listed) => saved.members = with_versions(listed.members, &versions(client).await),
        Err(error) => missing.push(error.to_string()),
    }
    match alarms {
        Ok(listed) => saved.alarms = listed.alarms.into_iter().map(saved_alarm).collect(),
        Err(error) => missing.push(error.to_string()),
    }
    Members { missing: missing.join("; "), ..saved }
}

fn with_versions(members: Vec<MemberInfo>, versions: &BTreeMap<MemberId, String>) -> Vec<SavedMember> {
    let saved = |member: MemberInfo| SavedMember {
        id: member.id,
        name: member.name,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
        is_learner: member.is_learner,
        server_version: versions.get(&member.id).cloned().unwrap_or_default(),
    };
    let mut members: Vec<_> = members.into_iter().map(saved).collect();
    members.sort_by_key(|member| member.id);
    members
}

/// The versions of the members that tell it in time; 3.4 tells root only.
pub(super) async fn versions(client: &Client) -> BTreeMap<MemberId, String> {
    let mut versions = BTreeMap::new();
    let members = client.members();
    let mut asked: FuturesUnordered<_> = members.iter().map(|member| member.status()).collect();
    let collect = async {
        while let Some(status) = asked.next().await {
            versions.extend(status.ok().map(|status| (status.header.member_id, status.version)));
        }
    };
    // Those that are late are left out.
    let _ = timeout(VERSION_TIMEOUT, collect).await;
    versions
}

fn saved_alarm(alarm: Alarm) -> RaisedAlarm {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
        AlarmKind::Other(number) => number.cast_unsigned(),
    };
    RaisedAlarm { member_id: alarm.member_id, kind }
}
