mod compare;
mod operation;

use bytes::Bytes;

pub use compare::{Compare, Relation};
pub use operation::{Operation, OperationResult};

use super::{Request, WireCall, decode, header};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{RangeRequest, RequestOp, TxnRequest, TxnResponse, request_op};
use crate::types::{Header, Namespace};

const TXN: Rpc = Rpc::new("/etcdserverpb.KV/Txn");

/// Operations that take effect together, at one revision, or not at all.
///
/// If every comparison holds, the `then` operations are carried out, otherwise the `otherwise`
/// ones. A key may be written once only. Servers take 128 operations a branch unless configured
/// otherwise.
///
/// One without any operation only tells whether its comparisons hold, linearizably. One whose only operations
/// are [serializable](crate::Get::serializable) reads is answered by one member from what it has: its
/// comparisons may be old, too.
///
/// Prefer a [`Get`](crate::Get) to one that only reads: some servers, such as 3.5.1, crash if its caller gives up, or runs
/// out of time, just while they evaluate it ([etcd's issue 14110](https://github.com/etcd-io/etcd/issues/14110)).
///
/// Transactions nest; the limits on keys and operations count all levels together.
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
    /// the outcome of an attempt is unknown. Of a nested one it has no effect.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    fn class(&self) -> RetryClass {
        match (self.reads(), self.idempotent) {
            (true, _) => RetryClass::Read,
            (false, true) => RetryClass::Idempotent,
            (false, false) => RetryClass::Once,
        }
    }

    /// Whether it changes nothing.
    fn reads(&self) -> bool {
        self.then.iter().chain(&self.otherwise).all(Operation::reads)
    }

    /// Whether it asks for nothing but the truth of its comparisons.
    fn only_compares(&self) -> bool {
        self.then.is_empty() && self.otherwise.is_empty() && !self.when.is_empty()
    }

    fn message(&self, namespace: &Namespace) -> Result<TxnRequest> {
        let operations =
            |branch: &[Operation]| branch.iter().map(|op| op.message(namespace)).collect::<Result<_>>();
        Ok(TxnRequest {
            compare: self.when.iter().map(|compare| compare.message(namespace)).collect::<Result<_>>()?,
            success: operations(&self.then)?,
            failure: operations(&self.otherwise)?,
        })
    }
}

/// Has the server ask the others before it compares, which it does only for a linearizable read in either
/// branch: here one that costs nothing, of a key that is compared, so that it needs no other right.
fn make_linearizable(message: &mut TxnRequest) {
    let keys = message.compare.iter().map(|compare| compare.key.clone());
    let count = |key| RangeRequest { key, count_only: true, ..RangeRequest::default() };
    let reads = keys.take(1).map(|key| request_op::Request::RequestRange(count(key)));
    message.failure.extend(reads.map(|read| RequestOp { request: Some(read) }));
}

/// The answer to a [`Txn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnResult {
    /// Who answered; its revision is that of the transaction. In the answers to its operations, nested ones
    /// too, only the revision is set, if anything.
    pub header: Header,
    /// Whether every comparison held.
    pub succeeded: bool,
    /// The answers to the operations that were carried out, in their order.
    pub responses: Vec<OperationResult>,
}

impl TxnResult {
    fn from_wire(wire: TxnResponse, namespace: &Namespace) -> Result<Self> {
        let responses = wire.responses.into_iter().map(|op| OperationResult::from_wire(op, namespace));
        Ok(Self {
            header: header(wire.header)?,
            succeeded: wire.succeeded,
            responses: responses.collect::<Result<_>>()?,
        })
    }
}

impl Request for Txn {
    type Response = TxnResult;

    fn call(&self, namespace: &Namespace) -> Result<WireCall> {
        let mut message = self.message(namespace)?;
        if self.only_compares() {
            make_linearizable(&mut message);
        }
        Ok(WireCall::new(TXN, self.class(), &message))
    }

    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<TxnResult> {
        let mut result = TxnResult::from_wire(decode(answer)?, namespace)?;
        if self.only_compares() {
            result.responses.clear();
        }
        Ok(result)
    }
}
