use bytes::Bytes;

use super::super::kv::wire_range;
use super::super::{Request, WireCall, malformed};
use super::{AuthResult, change, changed};
use crate::error::Result;
use crate::net::Rpc;
use crate::pb::authpb::{Permission as WirePermission, permission::Type};
use crate::pb::etcdserverpb::{AuthRoleGrantPermissionRequest, AuthRoleRevokePermissionRequest};
use crate::types::{KeyRange, Namespace};

const GRANT: Rpc = Rpc::new("/etcdserverpb.Auth/RoleGrantPermission");
const REVOKE: Rpc = Rpc::new("/etcdserverpb.Auth/RoleRevokePermission");

/// What a role permits on the keys of a range.
///
/// Ranges are the cluster's: a [namespaced](crate::Client::namespace) client names them in full, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Permission {
    /// What may be done.
    pub access: Access,
    /// With which keys.
    pub range: KeyRange,
}

/// What may be done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading and watching.
    Read,
    /// Writing and deleting.
    Write,
    /// Both.
    ReadWrite,
}

impl Permission {
    /// Permits this with the keys of this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(access: Access, range: impl Into<KeyRange>) -> Self {
        Self { access, range: range.into() }
    }

    pub(super) fn from_wire(wire: WirePermission) -> Result<Self> {
        let access = match Type::try_from(wire.perm_type) {
            Ok(Type::Read) => Access::Read,
            Ok(Type::Write) => Access::Write,
            Ok(Type::Readwrite) => Access::ReadWrite,
            Err(_) => return Err(malformed("the answer holds a permission of an unknown kind")),
        };
        Ok(Self { access, range: KeyRange::from_wire(wire.key, wire.range_end) })
    }

    fn to_wire(&self) -> Result<WirePermission> {
        let perm_type = match self.access {
            Access::Read => Type::Read,
            Access::Write => Type::Write,
            Access::ReadWrite => Type::Readwrite,
        };
        let (key, range_end) = cluster_range(&self.range)?;
        Ok(WirePermission { perm_type: perm_type.into(), key, range_end })
    }
}

/// Has a role permit something. What it permitted on exactly the same range is replaced.
#[derive(Clone, Debug)]
pub struct GrantPermission {
    role: String,
    permission: Permission,
}

impl GrantPermission {
    /// Has this role permit this; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(role: impl Into<String>, permission: Permission) -> Self {
        Self { role: role.into(), permission }
    }
}

/// Has a role no longer permit anything on a range.
#[derive(Clone, Debug)]
pub struct RevokePermission {
    role: String,
    range: KeyRange,
}

impl RevokePermission {
    /// Takes back what this role permits on exactly this range;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if that is nothing.
    #[must_use]
    pub fn new(role: impl Into<String>, range: impl Into<KeyRange>) -> Self {
        Self { role: role.into(), range: range.into() }
    }
}

impl Request for GrantPermission {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let perm = Some(self.permission.to_wire()?);
        change(GRANT, &AuthRoleGrantPermissionRequest { name: self.role.clone(), perm })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for RevokePermission {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let (key, range_end) = cluster_range(&self.range)?;
        change(REVOKE, &AuthRoleRevokePermissionRequest { role: self.role.clone(), key, range_end })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

/// Roles are the cluster's, and so are the ranges that they permit.
fn cluster_range(range: &KeyRange) -> Result<(Bytes, Bytes)> {
    wire_range(range, &Namespace::default())
}
