use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::{stripped, wire_range};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{DeleteRangeRequest, DeleteRangeResponse};
use crate::types::{Header, KeyRange, KeyValue, Namespace};

const DELETE: Rpc = Rpc::new("/etcdserverpb.KV/DeleteRange");

/// Deletes the keys of a range.
#[derive(Clone, Debug)]
pub struct Delete {
    range: KeyRange,
    return_previous: bool,
}

impl Delete {
    /// Deletes this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self { range: range.into(), return_previous: false }
    }

    /// Has the answer carry what was deleted.
    #[must_use]
    pub fn return_previous(self) -> Self {
        Self { return_previous: true, ..self }
    }

    pub(in crate::client) fn message(&self, namespace: &Namespace) -> Result<DeleteRangeRequest> {
        let (key, range_end) = wire_range(&self.range, namespace)?;
        Ok(DeleteRangeRequest { key, range_end, prev_kv: self.return_previous })
    }
}

/// The answer to a [`Delete`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteResult {
    /// Who answered; its revision is that of the deletion.
    pub header: Header,
    /// How many keys were deleted.
    pub deleted: u64,
    /// What was deleted, if asked for.
    pub previous: Vec<KeyValue>,
}

impl DeleteResult {
    pub(in crate::client) fn from_wire(wire: DeleteRangeResponse, namespace: &Namespace) -> Result<Self> {
        Ok(Self {
            header: header(wire.header)?,
            deleted: wire.deleted.try_into().unwrap_or_default(),
            previous: stripped(wire.prev_kvs, namespace)?,
        })
    }
}

impl Request for Delete {
    type Response = DeleteResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(DELETE, RetryClass::Once, &self.message(namespace)?))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<DeleteResult> {
        DeleteResult::from_wire(decode(answer)?, namespace)
    }
}
