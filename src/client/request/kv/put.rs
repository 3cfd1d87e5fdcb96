use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::wire_key;
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{PutRequest, PutResponse};
use crate::types::{Header, KeyValue, LeaseId, Namespace};

const PUT: Rpc = Rpc::new("/etcdserverpb.KV/Put");

/// Writes one key.
///
/// A put without a lease detaches the key from the one it had, unless told to [keep it](Put::keep_lease).
#[derive(Clone, Debug)]
pub struct Put {
    key: Bytes,
    /// `None` keeps the one that is there.
    value: Option<Bytes>,
    lease: Lease,
    return_previous: bool,
}

#[derive(Clone, Copy, Debug)]
enum Lease {
    Keep,
    Set(Option<LeaseId>),
}

impl Put {
    /// Writes this value under this key.
    #[must_use]
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::with(key.into(), Some(value.into()))
    }

    /// Leaves the value as it is and changes the rest: the lease and the revision. etcd's `ignore_value`.
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such key.
    #[must_use]
    pub fn keep_value(key: impl Into<Bytes>) -> Self {
        Self::with(key.into(), None)
    }

    fn with(key: Bytes, value: Option<Bytes>) -> Self {
        Self { key, value, lease: Lease::Set(None), return_previous: false }
    }

    /// Attaches the key to a lease: it goes when the lease does.
    #[must_use]
    pub fn lease(self, lease: impl Into<Option<LeaseId>>) -> Self {
        Self { lease: Lease::Set(lease.into()), ..self }
    }

    /// Leaves the key attached to the lease it has. etcd's `ignore_lease`.
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such key.
    #[must_use]
    pub fn keep_lease(self) -> Self {
        Self { lease: Lease::Keep, ..self }
    }

    /// Has the answer carry what the key held before.
    #[must_use]
    pub fn return_previous(self) -> Self {
        Self { return_previous: true, ..self }
    }

    pub(in crate::client) fn message(&self, namespace: &Namespace) -> Result<PutRequest> {
        let (ignore_lease, lease) = match self.lease {
            Lease::Keep => (true, None),
            Lease::Set(lease) => (false, lease),
        };
        Ok(PutRequest {
            key: wire_key(&self.key, namespace)?,
            value: self.value.clone().unwrap_or_default(),
            lease: LeaseId::to_wire(lease),
            prev_kv: self.return_previous,
            ignore_value: self.value.is_none(),
            ignore_lease,
        })
    }
}

/// The answer to a [`Put`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutResult {
    /// Who answered; its revision is that of the put.
    pub header: Header,
    /// What the key held before, if asked for and if there was anything.
    pub previous: Option<KeyValue>,
}

impl PutResult {
    pub(in crate::client) fn from_wire(wire: PutResponse, namespace: &Namespace) -> Result<Self> {
        let previous = wire.prev_kv.map(|kv| namespace.strip_kv(kv)).transpose()?;
        Ok(Self { header: header(wire.header)?, previous })
    }
}

impl Request for Put {
    type Response = PutResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(PUT, RetryClass::Once, &self.message(namespace)?))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<PutResult> {
        PutResult::from_wire(decode(answer)?, namespace)
    }
}
