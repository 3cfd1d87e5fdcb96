use bytes::Bytes;

use super::kv::{Delete, DeleteResult, Get, GetResult, Put, PutResult, wire_key};
use super::request::{Request, WireCall, decode, header, malformed};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{
    Compare as WireCompare, RequestOp, ResponseOp, TxnRequest, TxnResponse, compare, request_op, response_op,
};
use crate::types::{Header, LeaseId, Namespace, Revision};

const TXN: Rpc = Rpc::new("/etcdserverpb.KV/Txn");

/// Operations that take effect together, at one revision, or not at all.
///
/// If every comparison holds, the `then` operations are carried out, otherwise the `otherwise`
/// ones. A key may be written once only. Servers take 128 operations a branch unless configured
/// otherwise.
///
/// A transaction of comparisons alone, without any operation, is answered by one member from what
/// it has, and may be old: add a [`Get`] to make it linearizable.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::{Compare, Get, Put, Txn};
///
/// let txn = Txn::new().when(Compare::absent("k")).then(Put::new("k", "v")).otherwise(Get::new("k"));
/// let result = client.send(txn).await?;
/// println!("created: {}", result.succeeded);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Txn {
    when: Vec<Compare>,
    then: Vec<Operation>,
    otherwise: Vec<Operation>,
    idempotent: bool,
}

impl Txn {
    /// No comparison, no operation.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a comparison that must hold.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.when.push(compare);
        self
    }

    /// Adds an operation for when every comparison holds.
    #[must_use]
    pub fn then(mut self, operation: impl Into<Operation>) -> Self {
        self.then.push(operation.into());
        self
    }

    /// Adds an operation for when a comparison fails.
    #[must_use]
    pub fn otherwise(mut self, operation: impl Into<Operation>) -> Self {
        self.otherwise.push(operation.into());
        self
    }

    /// Declares that carrying it out twice is the same as once: it is then tried again even when
    /// the outcome of an attempt is unknown.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    fn class(&self) -> RetryClass {
        let reads = |operation: &Operation| matches!(operation, Operation::Get(_));
        let read_only = self.then.iter().chain(&self.otherwise).all(reads);
        match (read_only, self.idempotent) {
            (true, _) => RetryClass::Read,
            (false, true) => RetryClass::Idempotent,
            (false, false) => RetryClass::Once,
        }
    }
}

/// One operation of a [`Txn`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// Reads.
    Get(Get),
    /// Writes.
    Put(Put),
    /// Deletes.
    Delete(Delete),
}

impl From<Get> for Operation {
    fn from(get: Get) -> Self {
        Self::Get(get)
    }
}

impl From<Put> for Operation {
    fn from(put: Put) -> Self {
        Self::Put(put)
    }
}

impl From<Delete> for Operation {
    fn from(delete: Delete) -> Self {
        Self::Delete(delete)
    }
}

impl Operation {
    fn message(&self, namespace: &Namespace) -> Result<RequestOp> {
        let request = match self {
            Self::Get(get) => request_op::Request::RequestRange(get.message(namespace)?),
            Self::Put(put) => request_op::Request::RequestPut(put.message(namespace)?),
            Self::Delete(delete) => request_op::Request::RequestDeleteRange(delete.message(namespace)?),
        };
        Ok(RequestOp { request: Some(request) })
    }
}

/// A condition on one key, for a [`Txn`].
///
/// A key that does not exist compares as version, revisions and lease 0; no comparison of its
/// value holds, not even an unequal one.
#[derive(Clone, Debug)]
pub struct Compare {
    key: Bytes,
    relation: Relation,
    target: compare::TargetUnion,
}

/// How a key's property must relate to the given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The property is the given one.
    Equal,
    /// The property is above the given one.
    Greater,
    /// The property is below the given one.
    Less,
    /// The property is another than the given one.
    NotEqual,
}

impl Compare {
    /// The key does not exist.
    #[must_use]
    pub fn absent(key: impl Into<Bytes>) -> Self {
        Self::create_revision(key, Relation::Equal, Revision(0))
    }

    /// The key exists.
    #[must_use]
    pub fn present(key: impl Into<Bytes>) -> Self {
        Self::create_revision(key, Relation::NotEqual, Revision(0))
    }

    /// The key's value relates to this one, byte by byte.
    #[must_use]
    pub fn value(key: impl Into<Bytes>, relation: Relation, value: impl Into<Bytes>) -> Self {
        Self::new(key, relation, compare::TargetUnion::Value(value.into()))
    }

    /// How often the key was put since it was created relates to this.
    #[must_use]
    pub fn version(key: impl Into<Bytes>, relation: Relation, version: i64) -> Self {
        Self::new(key, relation, compare::TargetUnion::Version(version))
    }

    /// The revision that created the key relates to this one.
    #[must_use]
    pub fn create_revision(key: impl Into<Bytes>, relation: Relation, revision: Revision) -> Self {
        Self::new(key, relation, compare::TargetUnion::CreateRevision(revision.0))
    }

    /// The revision of the key's last put relates to this one.
    #[must_use]
    pub fn mod_revision(key: impl Into<Bytes>, relation: Relation, revision: Revision) -> Self {
        Self::new(key, relation, compare::TargetUnion::ModRevision(revision.0))
    }

    /// The key's lease relates to this one; `None` is no lease.
    #[must_use]
    pub fn lease(key: impl Into<Bytes>, relation: Relation, lease: Option<LeaseId>) -> Self {
        Self::new(key, relation, compare::TargetUnion::Lease(LeaseId::to_wire(lease)))
    }

    fn new(key: impl Into<Bytes>, relation: Relation, target: compare::TargetUnion) -> Self {
        Self { key: key.into(), relation, target }
    }

    fn message(&self, namespace: &Namespace) -> Result<WireCompare> {
        let result = match self.relation {
            Relation::Equal => compare::CompareResult::Equal,
            Relation::Greater => compare::CompareResult::Greater,
            Relation::Less => compare::CompareResult::Less,
            Relation::NotEqual => compare::CompareResult::NotEqual,
        };
        let target = match &self.target {
            compare::TargetUnion::Version(_) => compare::CompareTarget::Version,
            compare::TargetUnion::CreateRevision(_) => compare::CompareTarget::Create,
            compare::TargetUnion::ModRevision(_) => compare::CompareTarget::Mod,
            compare::TargetUnion::Value(_) => compare::CompareTarget::Value,
            compare::TargetUnion::Lease(_) => compare::CompareTarget::Lease,
        };
        Ok(WireCompare {
            key: wire_key(&self.key, namespace)?,
            result: result.into(),
            target: target.into(),
            target_union: Some(self.target.clone()),
            ..WireCompare::default()
        })
    }
}

/// The answer to a [`Txn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnResult {
    /// Who answered; its revision is that of the transaction.
    pub header: Header,
    /// Whether every comparison held.
    pub succeeded: bool,
    /// The answers to the operations that were carried out, in their order.
    pub responses: Vec<OperationResult>,
}

/// The answer to one operation of a [`Txn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationResult {
    /// What a [`Get`] read.
    Get(GetResult),
    /// What a [`Put`] did.
    Put(PutResult),
    /// What a [`Delete`] did.
    Delete(DeleteResult),
}

impl OperationResult {
    fn from_wire(wire: ResponseOp, namespace: &Namespace) -> Result<Self> {
        match wire.response {
            Some(response_op::Response::ResponseRange(get)) => {
                GetResult::from_wire(get, namespace).map(Self::Get)
            }
            Some(response_op::Response::ResponsePut(put)) => {
                PutResult::from_wire(put, namespace).map(Self::Put)
            }
            Some(response_op::Response::ResponseDeleteRange(delete)) => {
                DeleteResult::from_wire(delete, namespace).map(Self::Delete)
            }
            Some(response_op::Response::ResponseTxn(_)) | None => {
                Err(malformed("the answer holds an operation that was not asked for"))
            }
        }
    }
}

impl Request for Txn {
    type Response = TxnResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let operations =
            |branch: &[Operation]| branch.iter().map(|op| op.message(namespace)).collect::<Result<_>>();
        let message = TxnRequest {
            compare: self.when.iter().map(|compare| compare.message(namespace)).collect::<Result<_>>()?,
            success: operations(&self.then)?,
            failure: operations(&self.otherwise)?,
        };
        Ok(WireCall::new(TXN, self.class(), &message))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<TxnResult> {
        let wire: TxnResponse = decode(answer)?;
        let responses = wire.responses.into_iter().map(|op| OperationResult::from_wire(op, namespace));
        Ok(TxnResult {
            header: header(wire.header)?,
            succeeded: wire.succeeded,
            responses: responses.collect::<Result<_>>()?,
        })
    }
}
