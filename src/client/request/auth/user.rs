use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::{AuthResult, change, changed, read};
use crate::error::Result;
use crate::net::Rpc;
use crate::pb::authpb::UserAddOptions;
use crate::pb::etcdserverpb::{
    AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest,
    AuthUserGetResponse, AuthUserListRequest, AuthUserListResponse,
};
use crate::types::{Header, Namespace};
use crate::util::Secret;

const ADD: Rpc = Rpc::new("/etcdserverpb.Auth/UserAdd");
const CHANGE_PASSWORD: Rpc = Rpc::new("/etcdserverpb.Auth/UserChangePassword");
const DELETE: Rpc = Rpc::new("/etcdserverpb.Auth/UserDelete");
const GET: Rpc = Rpc::new("/etcdserverpb.Auth/UserGet");
const LIST: Rpc = Rpc::new("/etcdserverpb.Auth/UserList");

/// Adds a user, who may do nothing until granted a role. `Debug` does not show the password.
///
/// As all changes of users and roles, root's once authentication is on.
#[derive(Clone, Debug)]
pub struct AddUser {
    name: String,
    /// `None`: only certificates tell who it is.
    password: Option<Secret>,
}

impl AddUser {
    /// A user with this password;
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is one of that name.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Some(Secret::new(password)) }
    }

    /// A user that only the common name of a client certificate makes one.
    #[must_use]
    pub fn without_password(name: impl Into<String>) -> Self {
        Self { name: name.into(), password: None }
    }
}

/// Gives a user another password; its tokens are no longer good. `Debug` does not show the password.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    name: String,
    password: Secret,
}

impl ChangePassword {
    /// Gives this user this password; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Secret::new(password) }
    }
}

/// Deletes a user. Refused for root while authentication is on.
#[derive(Clone, Debug)]
pub struct DeleteUser {
    name: String,
}

impl DeleteUser {
    /// Deletes this user; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Asks for a user's roles. Users may ask for their own.
#[derive(Clone, Debug)]
pub struct GetUser {
    name: String,
}

impl GetUser {
    /// Asks for this user; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// The answer to a [`GetUser`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetUserResult {
    /// Who answered.
    pub header: Header,
    /// The user's roles, ascending.
    pub roles: Vec<String>,
}

/// Asks for the names of all users.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ListUsers {}

impl ListUsers {
    /// Asks for all users.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The answer to [`ListUsers`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListUsersResult {
    /// Who answered.
    pub header: Header,
    /// The names of the users.
    pub users: Vec<String>,
}

impl Request for AddUser {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = AuthUserAddRequest {
            name: self.name.clone(),
            password: self.password.as_ref().map_or("", Secret::expose).to_owned(),
            options: Some(UserAddOptions { no_password: self.password.is_none() }),
            ..AuthUserAddRequest::default()
        };
        change(ADD, &message)
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for ChangePassword {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = AuthUserChangePasswordRequest {
            name: self.name.clone(),
            password: self.password.expose().to_owned(),
            ..AuthUserChangePasswordRequest::default()
        };
        change(CHANGE_PASSWORD, &message)
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for DeleteUser {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        change(DELETE, &AuthUserDeleteRequest { name: self.name.clone() })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for GetUser {
    type Response = GetUserResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        read(GET, &AuthUserGetRequest { name: self.name.clone() })
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<GetUserResult> {
        let wire: AuthUserGetResponse = decode(answer)?;
        Ok(GetUserResult { header: header(wire.header)?, roles: wire.roles })
    }
}

impl Request for ListUsers {
    type Response = ListUsersResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        read(LIST, &AuthUserListRequest {})
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ListUsersResult> {
        let wire: AuthUserListResponse = decode(answer)?;
        Ok(ListUsersResult { header: header(wire.header)?, users: wire.users })
    }
}
