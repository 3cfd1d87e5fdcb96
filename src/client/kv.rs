use bytes::Bytes;

use super::request::{Request, WireCall, decode, header};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse,
};
use crate::pb::mvccpb;
use crate::types::{Header, KeyRange, KeyValue, LeaseId, Namespace, Revision};

const RANGE: Rpc = Rpc::new("/etcdserverpb.KV/Range");
const PUT: Rpc = Rpc::new("/etcdserverpb.KV/Put");
const DELETE: Rpc = Rpc::new("/etcdserverpb.KV/DeleteRange");
const COMPACT: Rpc = Rpc::new("/etcdserverpb.KV/Compact");

/// Reads the keys of a range, ascending.
///
/// By default linearizable, at the newest revision, without a limit. The whole answer is held in
/// memory; for large ranges use [`Client::scan`](crate::Client::scan).
#[derive(Clone, Debug)]
pub struct Get {
    range: KeyRange,
    revision: Option<Revision>,
    limit: u32,
    serializable: bool,
    keys_only: bool,
    count_only: bool,
}

impl Get {
    /// Reads this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            revision: None,
            limit: 0,
            serializable: false,
            keys_only: false,
            count_only: false,
        }
    }

    /// Reads as of this revision instead of the newest.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// Returns at most this many keys, the first ones; 0 is no limit.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        Self { limit, ..self }
    }

    /// Lets any member answer from what it has, without asking the others: faster, and perhaps old.
    #[must_use]
    pub fn serializable(self) -> Self {
        Self { serializable: true, ..self }
    }

    /// Leaves the values out. On 3.7 servers the lease is then missing too.
    #[must_use]
    pub fn keys_only(self) -> Self {
        Self { keys_only: true, ..self }
    }

    /// Returns the count alone.
    #[must_use]
    pub fn count_only(self) -> Self {
        Self { count_only: true, ..self }
    }

    pub(super) fn message(&self, namespace: &Namespace) -> Result<RangeRequest> {
        let (key, range_end) = wire_range(&self.range, namespace)?;
        Ok(RangeRequest {
            key,
            range_end,
            limit: self.limit.into(),
            revision: self.revision.map_or(0, |revision| revision.0),
            serializable: self.serializable,
            keys_only: self.keys_only,
            count_only: self.count_only,
            ..RangeRequest::default()
        })
    }
}

/// The answer to a [`Get`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetResult {
    /// Who answered, at which revision.
    pub header: Header,
    /// The keys, ascending.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left keys out.
    pub more: bool,
    /// How many keys the range holds, whatever the limit.
    pub count: u64,
}

impl GetResult {
    pub(super) fn from_wire(wire: RangeResponse, namespace: &Namespace) -> Result<Self> {
        Ok(Self {
            header: header(wire.header)?,
            kvs: stripped(wire.kvs, namespace)?,
            more: wire.more,
            count: wire.count.try_into().unwrap_or_default(),
        })
    }
}

/// Writes one key.
///
/// A put without a lease detaches the key from the one it had.
#[derive(Clone, Debug)]
pub struct Put {
    key: Bytes,
    value: Bytes,
    lease: Option<LeaseId>,
    return_previous: bool,
}

impl Put {
    /// Writes this value under this key.
    #[must_use]
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), lease: None, return_previous: false }
    }

    /// Attaches the key to a lease: it goes when the lease does.
    #[must_use]
    pub fn lease(self, lease: impl Into<Option<LeaseId>>) -> Self {
        Self { lease: lease.into(), ..self }
    }

    /// Has the answer carry what the key held before.
    #[must_use]
    pub fn return_previous(self) -> Self {
        Self { return_previous: true, ..self }
    }

    pub(super) fn message(&self, namespace: &Namespace) -> Result<PutRequest> {
        Ok(PutRequest {
            key: wire_key(&self.key, namespace)?,
            value: self.value.clone(),
            lease: LeaseId::to_wire(self.lease),
            prev_kv: self.return_previous,
            ..PutRequest::default()
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
    pub(super) fn from_wire(wire: PutResponse, namespace: &Namespace) -> Result<Self> {
        let previous = wire.prev_kv.map(|kv| namespace.strip_kv(kv)).transpose()?;
        Ok(Self { header: header(wire.header)?, previous })
    }
}

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

    pub(super) fn message(&self, namespace: &Namespace) -> Result<DeleteRangeRequest> {
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
    pub(super) fn from_wire(wire: DeleteRangeResponse, namespace: &Namespace) -> Result<Self> {
        Ok(Self {
            header: header(wire.header)?,
            deleted: wire.deleted.try_into().unwrap_or_default(),
            previous: stripped(wire.prev_kvs, namespace)?,
        })
    }
}

/// Drops the history before a revision: it can't be read afterwards.
#[derive(Clone, Debug)]
pub struct Compact {
    revision: Revision,
    physical: bool,
}

impl Compact {
    /// Drops what only revisions before this one show; this one stays readable.
    #[must_use]
    pub fn new(revision: Revision) -> Self {
        Self { revision, physical: false }
    }

    /// Waits until the history is removed from the database too.
    #[must_use]
    pub fn physical(self) -> Self {
        Self { physical: true, ..self }
    }
}

/// The answer to a [`Compact`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactResult {
    /// Who answered.
    pub header: Header,
}

impl Request for Get {
    type Response = GetResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(RANGE, RetryClass::Read, &self.message(namespace)?))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<GetResult> {
        GetResult::from_wire(decode(answer)?, namespace)
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

impl Request for Delete {
    type Response = DeleteResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(DELETE, RetryClass::Once, &self.message(namespace)?))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<DeleteResult> {
        DeleteResult::from_wire(decode(answer)?, namespace)
    }
}

impl Request for Compact {
    type Response = CompactResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = CompactionRequest { revision: self.revision.0, physical: self.physical };
        Ok(WireCall::new(COMPACT, RetryClass::Once, &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<CompactResult> {
        let wire: CompactionResponse = decode(answer)?;
        Ok(CompactResult { header: header(wire.header)? })
    }
}

fn stripped(kvs: Vec<mvccpb::KeyValue>, namespace: &Namespace) -> Result<Vec<KeyValue>> {
    kvs.into_iter().map(|kv| namespace.strip_kv(kv)).collect()
}

fn wire_range(range: &KeyRange, namespace: &Namespace) -> Result<(Bytes, Bytes)> {
    if range.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("no key can lie in the range: {range}")));
    }
    Ok(namespace.range(range).to_wire())
}

pub(super) fn wire_key(key: &Bytes, namespace: &Namespace) -> Result<Bytes> {
    if key.is_empty() {
        return Err(Error::new(ErrorKind::Config, "the key is empty: etcd has no such key"));
    }
    Ok(namespace.key(key))
}
