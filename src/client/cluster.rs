use bytes::Bytes;

use super::request::{Request, WireCall, decode, header};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{Member, MemberListRequest, MemberListResponse};
use crate::types::{Header, MemberId, Namespace};

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

/// What the cluster knows about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// The member's id.
    pub id: MemberId,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Where it listens for the other members.
    pub peer_urls: Vec<String>,
    /// Where it says that it listens for clients; empty until it has started for the first time.
    pub client_urls: Vec<String>,
    /// Whether it only follows, without a vote.
    pub is_learner: bool,
}

impl From<Member> for MemberInfo {
    fn from(wire: Member) -> Self {
        Self {
            id: MemberId(wire.id),
            name: wire.name,
            peer_urls: wire.peer_ur_ls,
            client_urls: wire.client_ur_ls,
            is_learner: wire.is_learner,
        }
    }
}

impl Request for ListMembers {
    type Response = ListMembersResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = MemberListRequest { linearizable: true };
        Ok(WireCall::new(MEMBER_LIST, RetryClass::Read, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ListMembersResult> {
        let wire: MemberListResponse = decode(answer)?;
        Ok(ListMembersResult {
            header: header(wire.header)?,
            members: wire.members.into_iter().map(MemberInfo::from).collect(),
        })
    }
}
