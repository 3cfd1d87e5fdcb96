use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{DowngradeRequest, DowngradeResponse, downgrade_request::DowngradeAction};
use crate::types::{Header, Namespace};

const DOWNGRADE: Rpc = Rpc::new("/etcdserverpb.Maintenance/Downgrade");

/// Prepares the cluster for going one minor version back. Servers from 3.6 on do; those of 3.5 only tell
/// whether it could be, and leave the rest unanswered; older ones are too old for either:
/// [`ErrorKind::ServerTooOld`](crate::ErrorKind::ServerTooOld).
///
/// With authentication on, root's.
#[derive(Clone, Debug)]
pub struct Downgrade {
    action: DowngradeAction,
    version: String,
}

impl Downgrade {
    /// Asks whether the cluster could go back to this version, such as "3.5"; it must be the minor version
    /// before its own. [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) if it couldn't.
    #[must_use]
    pub fn validate(version: impl Into<String>) -> Self {
        Self { action: DowngradeAction::Validate, version: version.into() }
    }

    /// Lets servers of this version take over, one after the other.
    #[must_use]
    pub fn enable(version: impl Into<String>) -> Self {
        Self { action: DowngradeAction::Enable, version: version.into() }
    }

    /// Stays with the version that the cluster has. No error if there is nothing to cancel.
    #[must_use]
    pub fn cancel() -> Self {
        Self { action: DowngradeAction::Cancel, version: String::new() }
    }

    fn class(&self) -> RetryClass {
        if self.action == DowngradeAction::Validate { RetryClass::Read } else { RetryClass::Once }
    }
}

/// The answer to a [`Downgrade`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DowngradeResult {
    /// Who answered.
    pub header: Header,
    /// The version that the cluster has now.
    pub version: String,
}

impl Request for Downgrade {
    type Response = DowngradeResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = DowngradeRequest { action: self.action.into(), version: self.version.clone() };
        Ok(WireCall::new(DOWNGRADE, self.class(), &message).since("3.5"))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<DowngradeResult> {
        let wire: DowngradeResponse = decode(answer)?;
        Ok(DowngradeResult { header: header(wire.header)?, version: wire.version })
    }
}
