use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::{LeaseTimeToLive, seconds};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{LeaseGrantRequest, LeaseGrantResponse};
use crate::types::{Header, LeaseId, Namespace};
use crate::util::random_u64;

const GRANT: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseGrant");

/// Grants a lease: keys attached to it go when it is neither renewed nor revoked in time.
///
/// Tried again even when the outcome of an attempt is unknown: the id is the client's, so that no second
/// lease is left behind.
#[derive(Clone, Debug)]
pub struct GrantLease {
    id: LeaseId,
    ttl: Duration,
    /// Whether nobody else can have granted the id.
    id_is_ours: bool,
}

impl GrantLease {
    /// A lease that lives this long, counted in whole seconds, a part of one as a whole; servers
    /// raise it to their minimum (2 s by default). Its id is random.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        // Positive and never 0, which would let the server choose: a retry could then leave a
        // second lease behind.
        let id = i64::try_from(random_u64() >> 1).unwrap_or(i64::MAX).max(1);
        Self { id: LeaseId(id), ttl, id_is_ours: true }
    }

    /// Asks for this id; [`ErrorKind::AlreadyExists`] if it is taken. After an attempt with an unknown
    /// outcome nobody can tell by whom: then that error says that it
    /// [may have applied](Error::may_have_applied).
    #[must_use]
    pub fn id(self, id: LeaseId) -> Self {
        Self { id, id_is_ours: false, ..self }
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

impl Request for GrantLease {
    type Response = GrantLeaseResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = LeaseGrantRequest { ttl: whole_seconds(self.ttl), id: self.id.0 };
        Ok(WireCall::new(GRANT, RetryClass::Idempotent, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<GrantLeaseResult> {
        let wire: LeaseGrantResponse = decode(answer)?;
        Ok(GrantLeaseResult { header: header(wire.header)?, id: LeaseId(wire.id), ttl: seconds(wire.ttl) })
    }

    /// A lease with an id of our making is ours.
    async fn settle(&self, error: Error, client: &Client, deadline: Instant) -> Result<GrantLeaseResult> {
        if !self.id_is_ours || error.kind() != ErrorKind::AlreadyExists {
            return Err(error);
        }
        match client.send_until(&LeaseTimeToLive::new(self.id), deadline).await {
            Ok(found) => found.lease.map(|lease| (found.header, lease.granted)).ok_or(error),
            Err(_) => Err(error),
        }
        .map(|(header, ttl)| GrantLeaseResult { header, id: self.id, ttl })
    }
}

fn whole_seconds(ttl: Duration) -> i64 {
    let begun = u64::from(ttl.subsec_nanos() > 0);
    ttl.as_secs().saturating_add(begun).try_into().unwrap_or(i64::MAX)
}
