use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::RestoreMode;
use super::leases::LeaseGranter;
use crate::client::{Client, Compare, Get, OperationResult, Put, Txn, TxnResult, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyValue, Revision};
use crate::util::Escaped;

/// How long one transaction may take, all attempts together.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a batch is tried again because a lease ran out under it.
const LEASE_ATTEMPTS: u32 = 3;

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) keys: u64,
    pub(super) bytes: u64,
    /// Keys that were there and left alone.
    pub(super) kept: u64,
    /// The revision of the last write.
    pub(super) revision: Revision,
}

impl Written {
    pub(super) fn add(&mut self, other: Self) {
        self.keys += other.keys;
        self.bytes += other.bytes;
        self.kept += other.kept;
        self.revision = self.revision.max(other.revision);
    }
}

/// Writes batches into a cluster, as the mode allows.
#[derive(Debug)]
pub(super) struct BatchWriter {
    client: Client,
    mode: RestoreMode,
    leases: LeaseGranter,
}

impl BatchWriter {
    pub(super) fn new(client: Client, mode: RestoreMode, leases: LeaseGranter) -> Self {
        Self { client, mode, leases }
    }

    pub(super) fn leases(&self) -> &LeaseGranter {
        &self.leases
    }

    /// Writes the batch, leaving out what the mode leaves alone.
    pub(super) async fn write(&self, mut batch: Vec<KeyValue>) -> Result<Written> {
        let mut written = Written::default();
        while !batch.is_empty() {
            let result = self.send(&batch).await?;
            if result.succeeded {
                written.revision = result.header.revision;
                written.keys += batch.len() as u64;
                written.bytes += batch.iter().map(|kv| (kv.key.len() + kv.value.len()) as u64).sum::<u64>();
                break;
            }
            let before = batch.len();
            batch = self.without_existing(batch, existing(result))?;
            if batch.len() == before {
                return Err(malformed("a transaction failed because keys exist, but the server shows none"));
            }
            self.count_existing(&mut written, before - batch.len());
        }
        Ok(written)
    }

    /// Keys that were found in place: under `Refuse` they are our own, of an attempt whose answer was
    /// lost, since any other would have ended the restore.
    fn count_existing(&self, written: &mut Written, keys: usize) {
        match self.mode {
            RestoreMode::Refuse => written.keys += keys as u64,
            RestoreMode::Missing | RestoreMode::Replace => written.kept += keys as u64,
        }
    }

    async fn send(&self, batch: &[KeyValue]) -> Result<TxnResult> {
        let mut attempts = 0;
        loop {
            self.leases.ensure(batch).await?;
            attempts += 1;
            match self.client.send_within(self.transaction(batch), WRITE_TIMEOUT).await {
                Err(error) if error.kind() == ErrorKind::NotFound && attempts < LEASE_ATTEMPTS => {
                    self.leases.forget(batch).await;
                }
                outcome => return outcome.map_err(|error| error.context(describe(batch))),
            }
        }
    }

    /// Repeating one does no harm: a guarded put finds its own earlier success, a plain one writes
    /// the same once more.
    fn transaction(&self, batch: &[KeyValue]) -> Txn {
        batch.iter().fold(Txn::new().idempotent(), |txn, kv| {
            let txn = txn.then(Put::new(kv.key.clone(), kv.value.clone()).lease(kv.lease));
            let key = kv.key.clone();
            match self.mode {
                RestoreMode::Replace => txn,
                RestoreMode::Refuse => txn.when(Compare::absent(key.clone())).otherwise(Get::new(key)),
                RestoreMode::Missing => {
                    txn.when(Compare::absent(key.clone())).otherwise(Get::new(key).keys_only())
                }
            }
        })
    }

    fn without_existing(
        &self,
        batch: Vec<KeyValue>,
        existing: HashMap<Bytes, KeyValue>,
    ) -> Result<Vec<KeyValue>> {
        let foreign = |kv: &&KeyValue| existing.get(&kv.key).is_some_and(|there| !same(there, kv));
        if let Some(kv) = batch.iter().find(foreign).filter(|_| self.mode == RestoreMode::Refuse) {
            let message = format!("key {} came into being meanwhile; it was left alone", Escaped(&kv.key));
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(batch.into_iter().filter(|kv| !existing.contains_key(&kv.key)).collect())
    }
}

/// Whether the key holds what would be written: an attempt whose answer was lost leaves it so.
fn same(there: &KeyValue, wanted: &KeyValue) -> bool {
    there.value == wanted.value && there.lease == wanted.lease
}

fn existing(result: TxnResult) -> HashMap<Bytes, KeyValue> {
    let found = result.responses.into_iter().flat_map(|response| match response {
        OperationResult::Get(get) => get.kvs,
        _ => Vec::new(),
    });
    found.map(|kv| (kv.key.clone(), kv)).collect()
}

fn describe(batch: &[KeyValue]) -> String {
    match batch {
        [] => "writing nothing".into(),
        [kv] => format!("writing key {}", Escaped(&kv.key)),
        [first, .., last] => format!("writing keys {} to {}", Escaped(&first.key), Escaped(&last.key)),
    }
}
