use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::{AuthResult, change, changed, read};
use crate::error::Result;
use crate::net::Rpc;
use crate::pb::etcdserverpb::{AuthDisableRequest, AuthEnableRequest, AuthStatusRequest, AuthStatusResponse};
use crate::types::{Header, Namespace};

const ENABLE: Rpc = Rpc::new("/etcdserverpb.Auth/AuthEnable");
const DISABLE: Rpc = Rpc::new("/etcdserverpb.Auth/AuthDisable");
const STATUS: Rpc = Rpc::new("/etcdserverpb.Auth/AuthStatus");

/// Turns authentication on: from now on every request needs a user.
///
/// There must be a user `root` with the role `root`, or else
/// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EnableAuth {}

impl EnableAuth {
    /// Turns it on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Turns authentication off: everybody may do everything. Root's.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DisableAuth {}

impl DisableAuth {
    /// Turns it off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Asks whether authentication is on. Servers from 3.5 on:
/// [`ErrorKind::ServerTooOld`](crate::ErrorKind::ServerTooOld) from older ones.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct AuthStatus {}

impl AuthStatus {
    /// Asks for it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The answer to [`AuthStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthStatusResult {
    /// Who answered.
    pub header: Header,
    /// Whether authentication is on.
    pub enabled: bool,
    /// Raised by every change of users and roles. No [`Revision`](crate::Revision): keys have their own.
    pub auth_revision: u64,
}

impl Request for EnableAuth {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        change(ENABLE, &AuthEnableRequest {})
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for DisableAuth {
    type Response = AuthResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        change(DISABLE, &AuthDisableRequest {})
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthResult> {
        changed(answer)
    }
}

impl Request for AuthStatus {
    type Response = AuthStatusResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(read(STATUS, &AuthStatusRequest {})?.since("3.5"))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AuthStatusResult> {
        let wire: AuthStatusResponse = decode(answer)?;
        Ok(AuthStatusResult {
            header: header(wire.header)?,
            enabled: wire.enabled,
            auth_revision: wire.auth_revision,
        })
    }
}
