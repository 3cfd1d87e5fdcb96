use std::time::Instant;

use bytes::Bytes;

use super::super::{Request, WireCall, decode, header};
use super::Get;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{CompactionRequest, CompactionResponse};
use crate::types::{Header, Namespace, Revision};

const COMPACT: Rpc = Rpc::new("/etcdserverpb.KV/Compact");

/// Drops the history before a revision: it can't be read afterwards.
///
/// Tried again even when the outcome of an attempt is unknown, unless it is [`Compact::physical`].
/// [`ErrorKind::Compacted`] if the revision was compacted before.
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

    /// Waits until the history is removed from the database too. That may take minutes: send it by
    /// [`Client::send_within`].
    #[must_use]
    pub fn physical(self) -> Self {
        Self { physical: true, ..self }
    }

    /// That a repeated compaction is refused says that there was one, not that its removal is done.
    fn class(&self) -> RetryClass {
        if self.physical { RetryClass::Once } else { RetryClass::Idempotent }
    }
}

/// The answer to a [`Compact`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactResult {
    /// Who answered.
    pub header: Header,
}

impl Request for Compact {
    type Response = CompactResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        let message = CompactionRequest { revision: self.revision.0, physical: self.physical };
        Ok(WireCall::new(COMPACT, self.class(), &message))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<CompactResult> {
        let wire: CompactionResponse = decode(answer)?;
        Ok(CompactResult { header: header(wire.header)? })
    }

    /// Compacted is compacted, by whichever attempt.
    async fn settle(&self, error: Error, client: &Client, deadline: Instant) -> Result<CompactResult> {
        if error.kind() != ErrorKind::Compacted {
            return Err(error);
        }
        let read = client.send_until(&Get::new("\0").count_only(), deadline).await;
        read.map(|read| CompactResult { header: read.header }).map_err(|_| error)
    }
}
