mod change;
mod list;

pub use change::{
    AddMember, AddMemberResult, ChangeMembersResult, PromoteMember, RemoveMember, UpdateMember,
};
pub use list::{ListMembers, ListMembersResult};

use crate::pb::etcdserverpb::Member;
use crate::types::MemberId;

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

fn infos(members: Vec<Member>) -> Vec<MemberInfo> {
    members.into_iter().map(MemberInfo::from).collect()
}
