use std::time::Instant;

use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::LeaseTimeToLive;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{LeaseRevokeRequest, LeaseRevokeResponse};
use crate::types::{Header, LeaseId, Namespace};

const REVOKE: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseRevoke");

/// Ends a lease: the keys attached to it are deleted, at one revision.
///
/// Tried again even when the outcome of an attempt is unknown.
#[derive(Clone, Debug)]
pub struct RevokeLease {
    id: LeaseId,
}

impl RevokeLease {
    /// Ends this lease; [`ErrorKind::NotFound`] if there is none.
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

impl Request for RevokeLease {
    type Response = RevokeLeaseResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = LeaseRevokeRequest { id: self.id.0 };
        Ok(WireCall::new(REVOKE, RetryClass::Idempotent, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<RevokeLeaseResult> {
        let wire: LeaseRevokeResponse = decode(answer)?;
        Ok(RevokeLeaseResult { header: header(wire.header)? })
    }

    /// Gone is gone, by whichever attempt.
    async fn settle(&self, error: Error, client: &Client, deadline: Instant) -> Result<RevokeLeaseResult> {
        if error.kind() != ErrorKind::NotFound {
            return Err(error);
        }
        match client.send_until(&LeaseTimeToLive::new(self.id), deadline).await {
            Ok(asked) if asked.lease.is_none() => Ok(RevokeLeaseResult { header: asked.header }),
            _ => Err(error),
        }
    }
}
