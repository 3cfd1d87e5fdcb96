use bytes::Bytes;

use super::super::{Request, WireCall, decode, header, malformed};
use super::{MemberInfo, infos};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{
    MemberAddRequest, MemberAddResponse, MemberPromoteRequest, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest,
};
use crate::types::{Header, MemberId, Namespace};

const ADD: Rpc = Rpc::new("/etcdserverpb.Cluster/MemberAdd");
const PROMOTE: Rpc = Rpc::new("/etcdserverpb.Cluster/MemberPromote");
const REMOVE: Rpc = Rpc::new("/etcdserverpb.Cluster/MemberRemove");
const UPDATE: Rpc = Rpc::new("/etcdserverpb.Cluster/MemberUpdate");

/// Announces a member to the cluster, to be started afterwards.
///
/// A voting member counts towards the majority from now on, started or not; a learner never does.
/// With authentication on, as for all changes of members, root's.
#[derive(Clone, Debug)]
pub struct AddMember {
    peer_urls: Vec<String>,
    learner: bool,
}

impl AddMember {
    /// A voting member that the others will reach at these URLs;
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if another has one of them.
    #[must_use]
    pub fn new<I>(peer_urls: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self { peer_urls: texts(peer_urls), learner: false }
    }

    /// Has it only follow, without a vote, until it is [promoted](PromoteMember).
    #[must_use]
    pub fn learner(self) -> Self {
        Self { learner: true, ..self }
    }
}

/// The answer to an [`AddMember`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddMemberResult {
    /// Who answered; the revision is 0.
    pub header: Header,
    /// The new member, with the id that it has from now on.
    pub member: MemberInfo,
    /// All members, the new one too.
    pub members: Vec<MemberInfo>,
}

/// Gives a learner a vote. Refused until it has caught up with the leader:
/// [`ErrorKind::Rejected`](crate::ErrorKind::Rejected).
#[derive(Clone, Debug)]
pub struct PromoteMember {
    id: MemberId,
}

impl PromoteMember {
    /// Gives this one a vote; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(id: MemberId) -> Self {
        Self { id }
    }
}

/// Takes a member out of the cluster; if it runs, it stops.
#[derive(Clone, Debug)]
pub struct RemoveMember {
    id: MemberId,
}

impl RemoveMember {
    /// Takes this one out; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(id: MemberId) -> Self {
        Self { id }
    }
}

/// Changes where the others reach a member. Servers do not check that what they are given are URLs.
#[derive(Clone, Debug)]
pub struct UpdateMember {
    id: MemberId,
    peer_urls: Vec<String>,
}

impl UpdateMember {
    /// From now on the others reach this member at these URLs;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such member.
    #[must_use]
    pub fn new<I>(id: MemberId, peer_urls: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self { id, peer_urls: texts(peer_urls) }
    }
}

/// The answer to a [`PromoteMember`], a [`RemoveMember`] or an [`UpdateMember`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeMembersResult {
    /// Who answered; the revision is 0.
    pub header: Header,
    /// The members as they are now.
    pub members: Vec<MemberInfo>,
}

impl Request for AddMember {
    type Response = AddMemberResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = MemberAddRequest { peer_ur_ls: self.peer_urls.clone(), is_learner: self.learner };
        Ok(WireCall::new(ADD, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<AddMemberResult> {
        let wire: MemberAddResponse = decode(answer)?;
        let added = wire.member.ok_or_else(|| malformed("the answer does not hold the new member"))?;
        Ok(AddMemberResult {
            header: header(wire.header)?,
            member: added.into(),
            members: infos(wire.members),
        })
    }
}

impl Request for PromoteMember {
    type Response = ChangeMembersResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(PROMOTE, RetryClass::Once, &MemberPromoteRequest { id: self.id.0 }))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ChangeMembersResult> {
        changed(answer)
    }
}

impl Request for RemoveMember {
    type Response = ChangeMembersResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(REMOVE, RetryClass::Once, &MemberRemoveRequest { id: self.id.0 }))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ChangeMembersResult> {
        changed(answer)
    }
}

impl Request for UpdateMember {
    type Response = ChangeMembersResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = MemberUpdateRequest { id: self.id.0, peer_ur_ls: self.peer_urls.clone() };
        Ok(WireCall::new(UPDATE, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ChangeMembersResult> {
        changed(answer)
    }
}

/// The three answers differ in their names only.
fn changed(answer: Bytes) -> Result<ChangeMembersResult> {
    let wire: MemberRemoveResponse = decode(answer)?;
    Ok(ChangeMembersResult { header: header(wire.header)?, members: infos(wire.members) })
}

fn texts<I>(urls: I) -> Vec<String>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    urls.into_iter().map(Into::into).collect()
}
