use super::super::malformed;
use super::{Txn, TxnResult};
use crate::client::request::kv::{Delete, DeleteResult, Get, GetResult, Put, PutResult};
use crate::error::Result;
use crate::pb::etcdserverpb::{RequestOp, ResponseOp, request_op, response_op};
use crate::types::Namespace;

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
    /// Compares anew, and does one thing or the other.
    Txn(Txn),
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

impl From<Txn> for Operation {
    fn from(txn: Txn) -> Self {
        Self::Txn(txn)
    }
}

impl Operation {
    /// Whether it changes nothing.
    pub(super) fn reads(&self) -> bool {
        match self {
            Self::Get(_) => true,
            Self::Put(_) | Self::Delete(_) => false,
            Self::Txn(txn) => txn.reads(),
        }
    }

    pub(super) fn message(&self, namespace: &Namespace) -> Result<RequestOp> {
        let request = match self {
            Self::Get(get) => request_op::Request::RequestRange(get.message(namespace)?),
            Self::Put(put) => request_op::Request::RequestPut(put.message(namespace)?),
            Self::Delete(delete) => request_op::Request::RequestDeleteRange(delete.message(namespace)?),
            Self::Txn(txn) => request_op::Request::RequestTxn(txn.message(namespace)?),
        };
        Ok(RequestOp { request: Some(request) })
    }
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
    /// Which way a nested [`Txn`] went, and what came of it.
    Txn(TxnResult),
}

impl OperationResult {
    pub(super) fn from_wire(wire: ResponseOp, namespace: &Namespace) -> Result<Self> {
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
            Some(response_op::Response::ResponseTxn(txn)) => {
                TxnResult::from_wire(txn, namespace).map(Self::Txn)
            }
            None => Err(malformed("the answer holds an operation that was not asked for")),
        }
    }
}
