use std::time::Duration;

use bytes::Bytes;

use super::request::{Request, WireCall, decode, header};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use crate::types::{Header, LeaseId, Namespace};
use crate::util::random_u64;

const GRANT: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseGrant");
const REVOKE: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseRevoke");
const TIME_TO_LIVE: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseTimeToLive");

/// Grants a lease: keys attached to it go when it is neither renewed nor revoked in time.
#[derive(Clone, Debug)]
pub struct GrantLease {
    id: LeaseId,
    ttl: Duration,
}

impl GrantLease {
    /// A lease that lives this long, counted in whole seconds, a part of one as a whole; servers
    /// raise it to their minimum (2 s by default). Its id is random.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        // Positive and never 0, which would let the server choose: a retry could then leave a
        // second lease behind.
        let id = i64::try_from(random_u64() >> 1).unwrap_or(i64::MAX).max(1);
        Self { id: LeaseId(id), ttl }
    }

    /// Asks for this id; [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if it is taken.
    #[must_use]
    pub fn id(self, id: LeaseId) -> Self {
        Self { id, ..self }
    }
}

/// The answer to a [`GrantLease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantLeaseResult {
    /// Who answered.
    pub header: Header,
    /// The new lease.
    pub id: LeaseId,
    /// How long the server lets it live.
    pub ttl: Duration,
}

/// Ends a lease: the keys attached to it are deleted, at one revision.
#[derive(Clone, Debug)]
pub struct RevokeLease {
    id: LeaseId,
}

impl RevokeLease {
    /// Ends this lease; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none.
    #[must_use]
    pub fn new(id: LeaseId) -> Self {
        Self { id }
    }
}

/// The answer to a [`RevokeLease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevokeLeaseResult {
    /// Who answered.
    pub header: Header,
}

/// Asks how long a lease still lives.
#[derive(Clone, Debug)]
pub struct LeaseTimeToLive {
    id: LeaseId,
}

impl LeaseTimeToLive {
    /// Asks for this lease.
    #[must_use]
    pub fn new(id: LeaseId) -> Self {
        Self { id }
    }
}

/// The answer to a [`LeaseTimeToLive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTimeToLiveResult {
    /// Who answered.
    pub header: Header,
    /// How the lease stands; `None` if there is no such lease.
    pub lease: Option<LeaseTimes>,
}

/// How a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTimes {
    /// How long it was granted for, and what each renewal resets it to.
    pub granted: Duration,
    /// What is left.
    pub remaining: Duration,
}

impl Request for GrantLease {
    type Response = GrantLeaseResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let ttl = whole_seconds(self.ttl);
        let message = LeaseGrantRequest { ttl, id: self.id.0 };
        Ok(WireCall::new(GRANT, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<GrantLeaseResult> {
        let wire: LeaseGrantResponse = decode(answer)?;
        Ok(GrantLeaseResult { header: header(wire.header)?, id: LeaseId(wire.id), ttl: seconds(wire.ttl) })
    }
}

impl Request for RevokeLease {
    type Response = RevokeLeaseResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = LeaseRevokeRequest { id: self.id.0 };
        Ok(WireCall::new(REVOKE, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<RevokeLeaseResult> {
        let wire: LeaseRevokeResponse = decode(answer)?;
        Ok(RevokeLeaseResult { header: header(wire.header)? })
    }
}

impl Request for LeaseTimeToLive {
    type Response = LeaseTimeToLiveResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = LeaseTimeToLiveRequest { id: self.id.0, keys: false };
        Ok(WireCall::new(TIME_TO_LIVE, RetryClass::Read, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<LeaseTimeToLiveResult> {
        let wire: LeaseTimeToLiveResponse = decode(answer)?;
        // A lease that is gone is answered with a remaining time of -1 and nothing granted.
        let lease = (wire.granted_ttl > 0)
            .then(|| LeaseTimes { granted: seconds(wire.granted_ttl), remaining: seconds(wire.ttl) });
        Ok(LeaseTimeToLiveResult { header: header(wire.header)?, lease })
    }
}

fn seconds(wire: i64) -> Duration {
    Duration::from_secs(wire.try_into().unwrap_or_default())
}

fn whole_seconds(ttl: Duration) -> i64 {
    let begun = u64::from(ttl.subsec_nanos() > 0);
    ttl.as_secs().saturating_add(begun).try_into().unwrap_or(i64::MAX)
}
