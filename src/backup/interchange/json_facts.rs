//! The objects of the JSON lines format that are about the cluster and the backup: each is what a frame of an archive
//! holds. Lists may come in any order.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::base64_bytes;
use super::json_lines::number;
use crate::archive::{
    Auth, AuthState, BackupOption, Members, Options, RaisedAlarm, Role, RolePermission, SavedMember, User,
};
use crate::types::{KeyRange, MemberId};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthLine {
    #[serde(default)]
    state: StateName,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<UserObject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<RoleObject>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    missing: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StateName {
    #[default]
    Unknown,
    Off,
    On,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct UserObject {
    name: String,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RoleObject {
    name: String,
    #[serde(default)]
    permissions: Vec<PermissionObject>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PermissionObject {
    read: bool,
    write: bool,
    #[serde(with = "base64_bytes")]
    range_start: Bytes,
    #[serde(with = "base64_bytes")]
    range_end: Bytes,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MembersLine {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<MemberObject>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<AlarmObject>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    missing: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MemberObject {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    peer_urls: Vec<String>,
    #[serde(default)]
    client_urls: Vec<String>,
    #[serde(default)]
    learner: bool,
    #[serde(default)]
    server_version: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AlarmObject {
    member_id: String,
    kind: u32,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionsLine {
    options: Vec<OptionObject>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OptionObject {
    name: String,
    value: String,
}

/// As an archive has them: ascending, each once.
fn in_order<T, K: Ord>(mut list: Vec<T>, what: &str, key: impl Fn(&T) -> &K) -> Result<Vec<T>, String> {
    list.sort_by(|one, other| key(one).cmp(key(other)));
    if list.is_sorted_by(|one, next| key(one) < key(next)) {
        Ok(list)
    } else {
        Err(format!("its {what} hold one twice"))
    }
}

fn named(name: String) -> Result<String, String> {
    if name.is_empty() { Err("its names hold an empty one".to_owned()) } else { Ok(name) }
}

fn each<T, U>(list: Vec<T>, convert: impl Fn(T) -> Result<U, String>) -> Result<Vec<U>, String> {
    list.into_iter().map(convert).collect()
}

impl From<Auth> for AuthLine {
    fn from(auth: Auth) -> Self {
        let Auth { state, users, roles, missing } = auth;
        let state = match state {
            AuthState::Unknown => StateName::Unknown,
            AuthState::Off => StateName::Off,
            AuthState::On => StateName::On,
        };
        let users = users.into_iter().map(|User { name, roles }| UserObject { name, roles }).collect();
        let roles = roles.into_iter().map(RoleObject::from).collect();
        Self { state, users, roles, missing }
    }
}

impl AuthLine {
    pub(super) fn auth(self) -> Result<Auth, String> {
        let state = match self.state {
            StateName::Unknown => AuthState::Unknown,
            StateName::Off => AuthState::Off,
            StateName::On => AuthState::On,
        };
        let users = in_order(each(self.users, UserObject::user)?, "users", |user| &user.name)?;
        let roles = in_order(each(self.roles, RoleObject::role)?, "roles", |role| &role.name)?;
        Ok(Auth { state, users, roles, missing: self.missing })
    }
}

impl UserObject {
    fn user(self) -> Result<User, String> {
        Ok(User { name: named(self.name)?, roles: each(self.roles, named)? })
    }
}

impl From<Role> for RoleObject {
    fn from(role: Role) -> Self {
        Self {
            name: role.name,
            permissions: role.permissions.into_iter().map(PermissionObject::from).collect(),
        }
    }
}

impl RoleObject {
    fn role(self) -> Result<Role, String> {
        let permissions = self.permissions.into_iter().map(PermissionObject::permission).collect();
        Ok(Role { name: named(self.name)?, permissions })
    }
}

impl From<RolePermission> for PermissionObject {
    fn from(permission: RolePermission) -> Self {
        let (range_start, range_end) = permission.range.to_wire();
        Self { read: permission.read, write: permission.write, range_start, range_end }
    }
}

impl PermissionObject {
    fn permission(self) -> RolePermission {
        let range = KeyRange::from_wire(self.range_start, self.range_end);
        RolePermission { read: self.read, write: self.write, range }
    }
}

impl From<Members> for MembersLine {
    fn from(members: Members) -> Self {
        let alarm = |RaisedAlarm { member_id, kind }| AlarmObject { member_id: member_id.to_string(), kind };
        Self {
            members: members.members.into_iter().map(MemberObject::from).collect(),
            alarms: members.alarms.into_iter().map(alarm).collect(),
            missing: members.missing,
        }
    }
}

impl MembersLine {
    pub(super) fn members(self) -> Result<Members, String> {
        let members = in_order(each(self.members, MemberObject::member)?, "members", |member| &member.id)?;
        let alarms = each(self.alarms, |AlarmObject { member_id, kind }| {
            Ok(RaisedAlarm { member_id: id(&member_id)?, kind })
        })?;
        Ok(Members { members, alarms, missing: self.missing })
    }
}

impl From<SavedMember> for MemberObject {
    fn from(member: SavedMember) -> Self {
        let SavedMember { id, name, peer_urls, client_urls, is_learner: learner, server_version } = member;
        Self { id: id.to_string(), name, peer_urls, client_urls, learner, server_version }
    }
}

impl MemberObject {
    fn member(self) -> Result<SavedMember, String> {
        let Self { id, name, peer_urls, client_urls, learner: is_learner, server_version } = self;
        Ok(SavedMember { id: self::id(&id)?, name, peer_urls, client_urls, is_learner, server_version })
    }
}

fn id(text: &str) -> Result<MemberId, String> {
    number(text, "member id").map(MemberId)
}

impl From<Options> for OptionsLine {
    fn from(options: Options) -> Self {
        let object = |BackupOption { name, value }| OptionObject { name, value };
        Self { options: options.options.into_iter().map(object).collect() }
    }
}

impl OptionsLine {
    pub(super) fn options(self) -> Result<Options, String> {
        let option = |OptionObject { name, value }| Ok(BackupOption { name: named(name)?, value });
        Ok(Options { options: in_order(each(self.options, option)?, "options", |option| &option.name)? })
    }
}
