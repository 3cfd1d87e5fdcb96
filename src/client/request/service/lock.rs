use bytes::Bytes;

use super::super::kv::wire_key;
use super::super::{Request, WireCall, decode, header};
use super::wire_lease;
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use crate::types::{Header, LeaseId, Namespace};

const LOCK: Rpc = Rpc::new("/v3lockpb.Lock/Lock");
const UNLOCK: Rpc = Rpc::new("/v3lockpb.Lock/Unlock");

/// Waits for a lock, and holds it while the lease lives and until it is [unlocked](Unlock).
///
/// Not repeated when the outcome is unknown: the server of the lost attempt deletes the key of the lock when
/// it finds its client gone, also from under a later attempt with the same lease. After such an error revoke
/// the lease, or let it run out, and begin again with another one.
#[derive(Clone, Debug)]
pub struct Lock {
    name: Bytes,
    lease: LeaseId,
}

impl Lock {
    /// Waits for the lock of this name, with a lease that the caller keeps alive.
    #[must_use]
    pub fn new(name: impl Into<Bytes>, lease: LeaseId) -> Self {
        Self { name: name.into(), lease }
    }
}

/// The answer to a [`Lock`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockResult {
    /// Who answered.
    pub header: Header,
    /// The key that is there while the lock is held: writes that depend on the lock should
    /// [compare](crate::Compare::present) it.
    pub key: Bytes,
}

/// Gives a lock back. It deletes the key, whoever holds it.
#[derive(Clone, Debug)]
pub struct Unlock {
    key: Bytes,
}

impl Unlock {
    /// Gives back the lock with this key, which is [`LockResult::key`].
    #[must_use]
    pub fn new(key: impl Into<Bytes>) -> Self {
        Self { key: key.into() }
    }
}

/// The answer to an [`Unlock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnlockResult {
    /// Who answered.
    pub header: Header,
}

impl Request for Lock {
    type Response = LockResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let message = LockRequest { name: namespace.key(&self.name), lease: wire_lease(self.lease)? };
        Ok(WireCall::new(LOCK, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<LockResult> {
        let wire: LockResponse = decode(answer)?;
        Ok(LockResult { header: header(wire.header)?, key: namespace.strip(&wire.key)? })
    }
}

impl Request for Unlock {
    type Response = UnlockResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let message = UnlockRequest { key: wire_key(&self.key, namespace)? };
        Ok(WireCall::new(UNLOCK, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<UnlockResult> {
        let wire: UnlockResponse = decode(answer)?;
        Ok(UnlockResult { header: header(wire.header)? })
    }
}
