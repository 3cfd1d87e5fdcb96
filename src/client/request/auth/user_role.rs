use bytes::Bytes;

use super::super::{Request, WireCall};
use super::{AuthResult, change, changed};
use crate::error::Result;
use crate::net::Rpc;
use crate::pb::etcdserverpb::{AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest};
use crate::types::Namespace;

const GRANT: Rpc = Rpc::new("/etcdserverpb.Auth/UserGrantRole");
const REVOKE: Rpc = Rpc::new("/etcdserverpb.Auth/UserRevokeRole");

/// Gives a user a role, and so all that it permits.
#[derive(Clone, Debug)]
pub struct GrantRole {
    user: String,
    role: String,
}

impl GrantRole {
    /// Gives this user this role;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such user or role.
    #[must_use]
    pub fn new(user: impl Into<String>, role: impl Into<String>) -> Self {
        Self { user: user.into(), role: role.into() }
    }
}

/// Takes a role from a user.
#[derive(Clone, Debug)]
pub struct RevokeRole {
    user: String,
    role: String,
}

impl RevokeRole {
    /// Takes this role from this user;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the user does not have it.
    #[must_use]
    pub fn new(user: impl Into<String>, role: impl Into<String>) -> Self {
        Self { user: user.into(), role: role.into() }
    }
}

impl Request for GrantRole {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = AuthUserGrantRoleRequest { user: self.user.clone(), role: self.role.clone() };
        change(GRANT, &message)
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for RevokeRole {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = AuthUserRevokeRoleRequest { name: self.user.clone(), role: self.role.clone() };
        change(REVOKE, &message)
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}
