use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::{MemberInfo, infos};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{MemberListRequest, MemberListResponse};
use crate::types::{Header, Namespace};

const MEMBER_LIST: Rpc = Rpc::new("/etcdserverpb.Cluster/MemberList");

/// Asks who the members of the cluster are.
///
/// Linearizable on 3.5 and later; 3.4 answers from what the asked member knows.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ListMembers {}

impl ListMembers {
    /// Asks for all members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The answer to [`ListMembers`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListMembersResult {
    /// Who answered; the revision is 0.
    pub header: Header,
    /// The members, in the server's order.
    pub members: Vec<MemberInfo>,
}

impl Request for ListMembers {
    type Response = ListMembersResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = MemberListRequest { linearizable: true };
        Ok(WireCall::new(MEMBER_LIST, RetryClass::Read, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ListMembersResult> {
        let wire: MemberListResponse = decode(answer)?;
        Ok(ListMembersResult { header: header(wire.header)?, members: infos(wire.members) })
    }
}
