use super::{ClusterId, MemberId, Revision};
use crate::pb::etcdserverpb::ResponseHeader;

/// What every answer says about the member that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The cluster that answered.
    pub cluster_id: ClusterId,
    /// The member that answered.
    pub member_id: MemberId,
    /// The member's revision when it answered, even if the request asked for an older one.
    /// 0 in answers about members.
    pub revision: Revision,
    /// The raft term of the member.
    pub raft_term: u64,
}

impl From<ResponseHeader> for Header {
    fn from(wire: ResponseHeader) -> Self {
        Self {
            cluster_id: ClusterId(wire.cluster_id),
            member_id: MemberId(wire.member_id),
            revision: Revision(wire.revision),
            raft_term: wire.raft_term,
        }
    }
}
