use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{LeaseLeasesRequest, LeaseLeasesResponse};
use crate::types::{Header, LeaseId, Namespace};

const LEASES: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseLeases");

/// Asks which leases there are.
///
/// One member answers from what it has: a lease that was granted just now may be missing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ListLeases {}

impl ListLeases {
    /// Asks for all leases.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The answer to [`ListLeases`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListLeasesResult {
    /// Who answered.
    pub header: Header,
    /// The leases, the ones with the least time left first.
    pub leases: Vec<LeaseId>,
}

impl Request for ListLeases {
    type Response = ListLeasesResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(LEASES, RetryClass::Read, &LeaseLeasesRequest {}))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ListLeasesResult> {
        let wire: LeaseLeasesResponse = decode(answer)?;
        let leases = wire.leases.into_iter().map(|lease| LeaseId(lease.id)).collect();
        Ok(ListLeasesResult { header: header(wire.header)?, leases })
    }
}
