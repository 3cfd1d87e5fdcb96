mod permission;
mod role;
mod switch;
mod user;
mod user_role;

use bytes::Bytes;
use prost::Message;

pub use permission::{Access, GrantPermission, Permission, RevokePermission};
pub use role::{AddRole, DeleteRole, GetRole, GetRoleResult, ListRoles, ListRolesResult};
pub use switch::{AuthStatus, AuthStatusResult, DisableAuth, EnableAuth};
pub use user::{AddUser, ChangePassword, DeleteUser, GetUser, GetUserResult, ListUsers, ListUsersResult};
pub use user_role::{GrantRole, RevokeRole};

use super::{WireCall, decode, header};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::AuthEnableResponse;
use crate::types::Header;

/// The answer to a request that changes users, roles or whether they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthResult {
    /// Who answered.
    pub header: Header,
}

/// A call that changes something. Repeated, it might undo what someone else has done in between.
fn change(rpc: Rpc, message: &impl Message) -> Result<WireCall> {
    Ok(WireCall::new(rpc, RetryClass::Once, message))
}

fn read(rpc: Rpc, message: &impl Message) -> Result<WireCall> {
    Ok(WireCall::new(rpc, RetryClass::Read, message))
}

/// The answers to all changes are a header and nothing more.
fn changed(answer: Bytes) -> Result<AuthResult> {
    let wire: AuthEnableResponse = decode(answer)?;
    Ok(AuthResult { header: header(wire.header)? })
}
