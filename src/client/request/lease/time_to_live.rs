use std::time::Duration;

use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::seconds;
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse};
use crate::types::{Header, LeaseId, Namespace};

const TIME_TO_LIVE: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseTimeToLive");

/// Asks how long a lease still lives.
#[derive(Clone, Debug)]
pub struct LeaseTimeToLive {
    id: LeaseId,
    with_keys: bool,
}

impl LeaseTimeToLive {
    /// Asks for this lease.
    #[must_use]
    pub fn new(id: LeaseId) -> Self {
        Self { id, with_keys: false }
    }

    /// Has the answer carry the attached keys. The user must be allowed to read all of them.
    #[must_use]
    pub fn with_keys(self) -> Self {
        Self { with_keys: true, ..self }
    }
}

/// The answer to a [`LeaseTimeToLive`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTimeToLiveResult {
    /// Who answered.
    pub header: Header,
    /// How the lease stands; `None` if there is no such lease.
    pub lease: Option<LeaseTimes>,
    /// The attached keys, if asked for; of a [namespaced](crate::Client::namespace) client those in its
    /// namespace.
    pub keys: Vec<Bytes>,
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

impl Request for LeaseTimeToLive {
    type Response = LeaseTimeToLiveResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = LeaseTimeToLiveRequest { id: self.id.0, keys: self.with_keys };
        Ok(WireCall::new(TIME_TO_LIVE, RetryClass::Read, &message))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<LeaseTimeToLiveResult> {
        let wire: LeaseTimeToLiveResponse = decode(answer)?;
        // A lease that is gone is answered with a remaining time of -1 and nothing granted.
        let lease = (wire.granted_ttl > 0)
            .then(|| LeaseTimes { granted: seconds(wire.granted_ttl), remaining: seconds(wire.ttl) });
        // A lease is no part of the namespace: it may hold keys outside, and that is nobody's fault.
        let keys = wire.keys.iter().filter_map(|key| namespace.find(key)).collect();
        Ok(LeaseTimeToLiveResult { header: header(wire.header)?, lease, keys })
    }
}
