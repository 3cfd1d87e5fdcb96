use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::batch::{Change, Limits, Target, portions};
use super::leases::LeaseGranter;
use super::transaction::{into_vacancy, key_by_key};
use crate::client::{Client, OperationResult, TxnResult, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyValue, Revision};
use crate::util::{Escaped, lock};

/// How long one transaction may take, all attempts together.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a batch is tried again because a lease ran out under it.
const LEASE_ATTEMPTS: u32 = 3;
/// How many of the keys that were left alone are named.
pub(super) const NAMED: usize = 100;

/// What became of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) puts: u64,
    pub(super) bytes: u64,
    pub(super) deleted: u64,
    /// Keys that somebody had written since the plan was made; they were left alone.
    pub(super) left: u64,
    /// The first of those.
    pub(super) left_keys: Vec<Bytes>,
    /// The revision of the last write.
    pub(super) revision: Revision,
}

impl Written {
    pub(super) fn add(&mut self, other: Self) {
        self.puts += other.puts;
        self.bytes += other.bytes;
        self.deleted += other.deleted;
        self.left += other.left;
        let room = NAMED - self.left_keys.len().min(NAMED);
        self.left_keys.extend(other.left_keys.into_iter().take(room));
        self.revision = self.revision.max(other.revision);
    }

    fn done(&mut self, change: &Change) {
        self.bytes += change.bytes();
        match change.to {
            Target::Put { .. } => self.puts += 1,
            Target::Gone => self.deleted += 1,
        }
    }

    fn left(&mut self, change: Change) {
        self.left += 1;
        if self.left_keys.len() < NAMED {
            // A copy, lest the report keep the block that the key came in.
            self.left_keys.push(Bytes::copy_from_slice(&change.key));
        }
    }
}

/// Writes batches into a cluster, and learns how large they may be.
#[derive(Debug)]
pub(super) struct BatchWriter {
    client: Client,
    leases: LeaseGranter,
    limits: Mutex<Limits>,
    /// Whether nothing is known to lie between the first and the last key of a batch.
    vacant: AtomicBool,
}

impl BatchWriter {
    pub(super) fn new(client: Client, leases: LeaseGranter) -> Self {
        Self { client, leases, limits: Mutex::default(), vacant: AtomicBool::new(false) }
    }

    /// Whether nothing lies between the keys of a batch that comes from now on.
    pub(super) fn set_vacant(&self, vacant: bool) {
        self.vacant.store(vacant, Ordering::Relaxed);
    }

    pub(super) fn leases(&self) -> &LeaseGranter {
        &self.leases
    }

    pub(super) fn limits(&self) -> Limits {
        *lock(&self.limits)
    }

    /// Makes the changes, leaving out those whose guards say so.
    pub(super) async fn write(&self, batch: Vec<Change>) -> Result<Written> {
        let mut written = Written::default();
        let mut batches = VecDeque::from([batch]);
        while let Some(batch) = batches.pop_front() {
            match self.send(&batch).await {
                Ok(result) => batches.extend(written.take(batch, result)?),
                Err(error) if error.kind() == ErrorKind::TooLarge && batch.len() > 1 => {
                    batches.extend(portions(batch.clone(), self.learn(&batch, &error)));
                }
                Err(error) => return Err(refused(error, &batch)),
            }
        }
        Ok(written)
    }

    /// What the server refused must not come again, in this restore.
    fn learn(&self, batch: &[Change], error: &Error) -> Limits {
        let mut limits = lock(&self.limits);
        let too_many = error.to_string().contains("too many operations");
        *limits = if too_many { limits.with_fewer(batch) } else { limits.with_less(batch) };
        *limits
    }

    async fn send(&self, batch: &[Change]) -> Result<TxnResult> {
        let mut attempts = 0;
        loop {
            self.leases.ensure(batch).await?;
            attempts += 1;
            match self.attempt(batch).await {
                Err(error) if error.kind() == ErrorKind::NotFound && attempts < LEASE_ATTEMPTS => {
                    self.leases.forget(batch).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Guards all keys by one comparison where that can do.
    async fn attempt(&self, batch: &[Change]) -> Result<TxnResult> {
        if self.vacant.load(Ordering::Relaxed)
            && let Some(into_vacancy) = into_vacancy(batch)
        {
            match self.client.send_within(into_vacancy, WRITE_TIMEOUT).await {
                Ok(result) if !result.succeeded => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                outcome => return outcome,
            }
            // Somebody has written there, or the user may not look at all that lies there.
            self.set_vacant(false);
        }
        self.client.send_within(key_by_key(batch), WRITE_TIMEOUT).await
    }
}

impl Written {
    /// Counts what a transaction did; gives back what is to be tried once more without what stood in the way.
    fn take(&mut self, batch: Vec<Change>, result: TxnResult) -> Result<Option<Vec<Change>>> {
        if result.succeeded {
            self.revision = result.header.revision;
            batch.iter().for_each(|change| self.done(change));
            return Ok(None);
        }
        let (before, found) = (batch.len(), found(result));
        let mut again = Vec::new();
        for change in batch {
            let found = found.get(&change.key);
            match () {
                () if change.may_pass(found) => again.push(change),
                () if change.is_done(found) => self.done(&change),
                () => self.left(change),
            }
        }
        if again.len() == before {
            return Err(malformed("a transaction failed by its comparisons, but all of them hold"));
        }
        Ok(Some(again).filter(|again| !again.is_empty()))
    }
}

fn found(result: TxnResult) -> HashMap<Bytes, KeyValue> {
    let found = result.responses.into_iter().flat_map(|response| match response {
        OperationResult::Get(get) => get.kvs,
        _ => Vec::new(),
    });
    found.map(|kv| (kv.key.clone(), kv)).collect()
}

/// The server's refusal with the keys that it is about, and what to do.
fn refused(error: Error, batch: &[Change]) -> Error {
    let advice = match error.kind() {
        ErrorKind::TooLarge => {
            "; raise the servers' --max-request-bytes above this key's size, or leave it out"
        }
        ErrorKind::PermissionDenied => "; the user needs a role with read and write permission on it",
        _ => "",
    };
    error.context(format!("writing {}{advice}", describe(batch)))
}

fn describe(batch: &[Change]) -> String {
    match batch {
        [] => "nothing".into(),
        [change] => format!("key {} of {} bytes", Escaped(&change.key), change.bytes()),
        [first, .., last] => format!("keys {} to {}", Escaped(&first.key), Escaped(&last.key)),
    }
}
