use bytes::Bytes;

use super::super::kv::wire_key;
use super::super::{Request, WireCall, decode, header, malformed};
use super::wire_lease;
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey as WireLeaderKey, LeaderRequest, LeaderResponse,
    ProclaimRequest, ProclaimResponse, ResignRequest, ResignResponse,
};
use crate::types::{Header, KeyValue, LeaseId, Namespace, Revision};

const CAMPAIGN: Rpc = Rpc::new("/v3electionpb.Election/Campaign");
const LEADER: Rpc = Rpc::new("/v3electionpb.Election/Leader");
const PROCLAIM: Rpc = Rpc::new("/v3electionpb.Election/Proclaim");
const RESIGN: Rpc = Rpc::new("/v3electionpb.Election/Resign");

/// Waits to become the leader of an election, which lasts while the lease lives and until it
/// [resigns](Resign).
///
/// Not repeated when the outcome is unknown, for the reason that [`Lock`](super::Lock) gives: begin again with
/// another lease.
#[derive(Clone, Debug)]
pub struct Campaign {
    name: Bytes,
    lease: LeaseId,
    value: Bytes,
}

impl Campaign {
    /// Stands for the election of this name with this value, and a lease that the caller keeps alive.
    #[must_use]
    pub fn new(name: impl Into<Bytes>, lease: LeaseId, value: impl Into<Bytes>) -> Self {
        Self { name: name.into(), lease, value: value.into() }
    }
}

/// The answer to a [`Campaign`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CampaignResult {
    /// Who answered; its revision is that of standing for election, not that of winning.
    pub header: Header,
    /// What shows that the election was won.
    pub leader: LeaderKey,
}

/// A won election, for [`Proclaim`] and [`Resign`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderKey {
    /// The election.
    pub name: Bytes,
    /// The key that is there while the leader leads.
    pub key: Bytes,
    /// The revision that created the key: writes that depend on leading should
    /// [compare](crate::Compare::create_revision) it.
    pub revision: Revision,
    /// The lease that the key goes with.
    pub lease: LeaseId,
}

impl LeaderKey {
    fn to_wire(&self, namespace: &Namespace) -> Result<WireLeaderKey> {
        Ok(WireLeaderKey {
            name: namespace.key(&self.name),
            key: wire_key(&self.key, namespace)?,
            rev: self.revision.0,
            lease: self.lease.0,
        })
    }
}

/// Gives the leader another value. [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if it no longer leads.
#[derive(Clone, Debug)]
pub struct Proclaim {
    leader: LeaderKey,
    value: Bytes,
}

impl Proclaim {
    /// Has this leader have this value.
    #[must_use]
    pub fn new(leader: LeaderKey, value: impl Into<Bytes>) -> Self {
        Self { leader, value: value.into() }
    }
}

/// The answer to a [`Proclaim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProclaimResult {
    /// Who answered.
    pub header: Header,
}

/// Asks who leads.
#[derive(Clone, Debug)]
pub struct Leader {
    name: Bytes,
}

impl Leader {
    /// Asks for the leader of this election; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is
    /// none.
    #[must_use]
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self { name: name.into() }
    }
}

/// The answer to a [`Leader`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderResult {
    /// Who answered.
    pub header: Header,
    /// The leader's key and value.
    pub kv: KeyValue,
}

/// Ends a leadership; the next in the queue leads. No error if it was over already.
#[derive(Clone, Debug)]
pub struct Resign {
    leader: LeaderKey,
}

impl Resign {
    /// Ends this one.
    #[must_use]
    pub fn new(leader: LeaderKey) -> Self {
        Self { leader }
    }
}

/// The answer to a [`Resign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResignResult {
    /// Who answered.
    pub header: Header,
}

impl Request for Campaign {
    type Response = CampaignResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let message = CampaignRequest {
            name: namespace.key(&self.name),
            lease: wire_lease(self.lease)?,
            value: self.value.clone(),
        };
        Ok(WireCall::new(CAMPAIGN, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<CampaignResult> {
        let wire: CampaignResponse = decode(answer)?;
        let won = wire.leader.ok_or_else(|| malformed("the answer does not say what was won"))?;
        let leader = LeaderKey {
            name: self.name.clone(),
            key: namespace.strip(&won.key)?,
            revision: Revision(won.rev),
            lease: LeaseId(won.lease),
        };
        Ok(CampaignResult { header: header(wire.header)?, leader })
    }
}

impl Request for Proclaim {
    type Response = ProclaimResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let leader = Some(self.leader.to_wire(namespace)?);
        let message = ProclaimRequest { leader, value: self.value.clone() };
        Ok(WireCall::new(PROCLAIM, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ProclaimResult> {
        let wire: ProclaimResponse = decode(answer)?;
        Ok(ProclaimResult { header: header(wire.header)? })
    }
}

impl Request for Leader {
    type Response = LeaderResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let message = LeaderRequest { name: namespace.key(&self.name) };
        Ok(WireCall::new(LEADER, RetryClass::Read, &message))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<LeaderResult> {
        let wire: LeaderResponse = decode(answer)?;
        let kv = wire.kv.ok_or_else(|| malformed("the answer does not hold the leader"))?;
        Ok(LeaderResult { header: header(wire.header)?, kv: namespace.strip_kv(kv)? })
    }
}

impl Request for Resign {
    type Response = ResignResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let message = ResignRequest { leader: Some(self.leader.to_wire(namespace)?) };
        Ok(WireCall::new(RESIGN, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ResignResult> {
        let wire: ResignResponse = decode(answer)?;
        Ok(ResignResult { header: header(wire.header)? })
    }
}
