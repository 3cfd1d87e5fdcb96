use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::{AuthResult, Permission, change, changed, read};
use crate::error::Result;
use crate::net::Rpc;
use crate::pb::etcdserverpb::{
    AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGetRequest, AuthRoleGetResponse, AuthRoleListRequest,
    AuthRoleListResponse,
};
use crate::types::{Header, Namespace};

const ADD: Rpc = Rpc::new("/etcdserverpb.Auth/RoleAdd");
const DELETE: Rpc = Rpc::new("/etcdserverpb.Auth/RoleDelete");
const GET: Rpc = Rpc::new("/etcdserverpb.Auth/RoleGet");
const LIST: Rpc = Rpc::new("/etcdserverpb.Auth/RoleList");

/// Adds a role, which permits nothing yet. The role `root` permits everything.
#[derive(Clone, Debug)]
pub struct AddRole {
    name: String,
}

impl AddRole {
    /// A role of this name; [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is one.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Deletes a role and takes it from all users. Refused for root while authentication is on.
#[derive(Clone, Debug)]
pub struct DeleteRole {
    name: String,
}

impl DeleteRole {
    /// Deletes this role; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Asks what a role permits. Users may ask for their own roles.
#[derive(Clone, Debug)]
pub struct GetRole {
    name: String,
}

impl GetRole {
    /// Asks for this role; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// The answer to a [`GetRole`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetRoleResult {
    /// Who answered.
    pub header: Header,
    /// What the role permits.
    pub permissions: Vec<Permission>,
}

/// Asks for the names of all roles.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ListRoles {}

impl ListRoles {
    /// Asks for all roles.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The answer to [`ListRoles`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRolesResult {
    /// Who answered.
    pub header: Header,
    /// The names of the roles.
    pub roles: Vec<String>,
}

impl Request for AddRole {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        change(ADD, &AuthRoleAddRequest { name: self.name.clone() })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for DeleteRole {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        change(DELETE, &AuthRoleDeleteRequest { role: self.name.clone() })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for GetRole {
    type Response = GetRoleResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        read(GET, &AuthRoleGetRequest { role: self.name.clone() })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<GetRoleResult> {
        let wire: AuthRoleGetResponse = decode(answer)?;
        let permissions = wire.perm.into_iter().map(Permission::from_wire).collect::<Result<_>>()?;
        Ok(GetRoleResult { header: header(wire.header)?, permissions })
    }
}

impl Request for ListRoles {
    type Response = ListRolesResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        read(LIST, &AuthRoleListRequest {})
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ListRolesResult> {
        let wire: AuthRoleListResponse = decode(answer)?;
        Ok(ListRolesResult { header: header(wire.header)?, roles: wire.roles })
    }
}
