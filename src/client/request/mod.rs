//! Request values: one per call that etcd has, in a file by its service.

mod auth;
mod cluster;
mod kv;
mod lease;
mod maintenance;
pub mod service;
mod txn;

use std::future::{Future, ready};
use std::time::Instant;

use bytes::Bytes;
use prost::Message;

use super::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::ResponseHeader;
use crate::types::{Header, Namespace};

pub use auth::{
    Access, AddRole, AddUser, AuthResult, AuthStatus, AuthStatusResult, ChangePassword, DeleteRole,
    DeleteUser, DisableAuth, EnableAuth, GetRole, GetRoleResult, GetUser, GetUserResult, GrantPermission,
    GrantRole, ListRoles, ListRolesResult, ListUsers, ListUsersResult, Permission, RevokePermission,
    RevokeRole,
};
pub use cluster::{
    AddMember, AddMemberResult, ChangeMembersResult, ListMembers, ListMembersResult, MemberInfo,
    PromoteMember, RemoveMember, UpdateMember,
};
pub(crate) use kv::Opening;
pub use kv::{
    Compact, CompactResult, Delete, DeleteResult, Get, GetResult, GetStream, GetTail, Put, PutResult,
    SortOrder, SortTarget,
};
pub use lease::{
    GrantLease, GrantLeaseResult, LeaseTimeToLive, LeaseTimeToLiveResult, LeaseTimes, ListLeases,
    ListLeasesResult, RevokeLease, RevokeLeaseResult,
};
pub use maintenance::{
    Alarm, AlarmKind, DisarmAlarm, DisarmAlarmResult, Downgrade, DowngradeResult, ListAlarms,
    ListAlarmsResult, RaiseAlarm, RaiseAlarmResult,
};
pub use txn::{Compare, Operation, OperationResult, Relation, Txn, TxnResult};

/// A request value: what [`Client::send`](crate::Client::send) takes.
///
/// The value carries what it is answered with and whether it may be repeated. The requests are
/// etcd's: the trait can't be implemented outside this crate.
pub trait Request: Send + Sync {
    /// What the server answers.
    type Response: Send;

    #[doc(hidden)]
    fn call(&self, namespace: &Namespace) -> Result<WireCall>;

    #[doc(hidden)]
    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<Self::Response>;

    /// The answer after all, if the error shows that an attempt whose own answer was lost has been carried
    /// out, such as by what it left behind. Called for errors that leave this open.
    #[doc(hidden)]
    fn settle(
        &self,
        error: Error,
        _client: &Client,
        _deadline: Instant,
    ) -> impl Future<Output = Result<Self::Response>> + Send {
        ready(Err(error))
    }
}

/// An encoded request with all that the transport needs to know of it. No one outside can make one,
/// which is what seals [`Request`].
#[derive(Debug)]
#[allow(unreachable_pub, reason = "named by a method of a public trait")]
pub struct WireCall {
    pub(in crate::client) rpc: Rpc,
    pub(in crate::client) class: RetryClass,
    pub(in crate::client) message: Bytes,
    since: Option<&'static str>,
}

impl WireCall {
    fn new(rpc: Rpc, class: RetryClass, message: &impl Message) -> Self {
        Self { rpc, class, message: message.encode_to_vec().into(), since: None }
    }

    /// The version of etcd that the call came with, if not all that are supported know it.
    fn since(self, version: &'static str) -> Self {
        Self { since: Some(version), ..self }
    }

    /// Tells a server that is too old from one that is of another kind.
    pub(in crate::client) fn explain(&self, error: Error) -> Error {
        match self.since {
            Some(version) if error.kind() == ErrorKind::Unsupported => error.needs_version(version),
            _ => error,
        }
    }
}

/// Decodes an answer's message; keys and values stay slices of it.
pub(crate) fn decode<M: Message + Default>(answer: Bytes) -> Result<M> {
    M::decode(answer)
        .map_err(|error| malformed("the answer is no message of the expected type").with_source(error))
}

/// The header that every answer but a few must have.
pub(in crate::client) fn header(header: Option<ResponseHeader>) -> Result<Header> {
    header.map(Header::from).ok_or_else(|| malformed("the answer has no header"))
}

pub(crate) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}
