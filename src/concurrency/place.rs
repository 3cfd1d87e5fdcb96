use std::fmt;
use std::future::Future;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::loss::Loss;
use super::queue::Queue;
use super::waiting::{insist, until_deleted, until_gone};
use crate::client::{
    Client, Compare, Delete, Get, OperationResult, Put, Relation, Txn, TxnResult, malformed,
};
use crate::error::{Error, ErrorKind, Result};
use crate::stream::LeaseKeeper;
use crate::types::{KeyValue, Revision};
use crate::util::random_u64;

/// A key in a queue. Dropped, it is deleted in the background, until that succeeds or its lease is lost: a key
/// left behind would block all who come after it.
pub(super) struct Place {
    client: Client,
    lease: LeaseKeeper,
    queue: Queue,
    key: Bytes,
    /// The revision that created the key.
    token: Revision,
    left: bool,
}

impl Place {
    /// Puts a key at the end of the queue.
    ///
    /// In a task of its own, which goes on when the caller gives up: only what is certainly there can be
    /// deleted for good.
    pub(super) async fn take(
        client: &Client,
        lease: &LeaseKeeper,
        queue: &Queue,
        value: Bytes,
    ) -> Result<Self> {
        let key = queue.key(lease.id(), random_u64());
        let (client, lease, queue) = (client.clone(), lease.clone(), queue.clone());
        let place = Self { client, lease, queue, key, token: Revision(0), left: false };
        let joining = tokio::spawn(place.join(value));
        joining.await.map_err(|_| Error::new(ErrorKind::Unavailable, "the runtime shuts down"))?
    }

    async fn join(mut self, value: Bytes) -> Result<Self> {
        let put = Put::new(self.key.clone(), value).lease(self.lease.id());
        // A repetition whose first attempt was carried out finds its own key.
        let join = Txn::new().when(Compare::absent(self.key.clone())).then(put);
        let join = join.otherwise(Get::new(self.key.clone())).idempotent();
        self.token = created_at(self.client.send(join).await.map_err(missing_lease)?)?;
        Ok(self)
    }

    /// Waits until nobody is ahead.
    pub(super) async fn first(&self) -> Result<()> {
        while let Some((ahead, seen)) = insist(|| self.ahead()).await? {
            until_deleted(&self.client, ahead.key, seen).await?;
        }
        Ok(())
    }

    /// Who is next before this place, and when they were; fails if this place is no more.
    ///
    /// One read of all up to this place, itself included. Not a transaction that changes nothing: some servers of 3.4 and
    /// 3.5 crash if whoever asks for one gives up at the wrong moment, as those who wait for a lock do.
    pub(super) async fn ahead(&self) -> Result<Option<(KeyValue, Revision)>> {
        let queued = Get::new(self.queue.range()).max_create_revision(self.token).keys_only();
        let looked = self.client.send(queued).await?;
        if !looked.kvs.iter().any(|kv| kv.key == self.key && kv.create_revision == self.token) {
            return Err(Loss::Deleted.into());
        }
        let ahead = self.queue.next_before(self.token, looked.kvs);
        Ok(ahead.map(|ahead| (ahead, looked.header.revision)))
    }

    /// Gives the place another value.
    pub(super) async fn put(&self, value: Bytes) -> Result<()> {
        let put = Put::new(self.key.clone(), value).lease(self.lease.id());
        let result = self.client.send(self.guarded(Txn::new()).then(put).idempotent()).await?;
        if result.succeeded { Ok(()) } else { Err(Loss::Deleted.into()) }
    }

    /// Deletes the key.
    pub(super) async fn leave(mut self) -> Result<()> {
        self.client.send(deletion(&self.key)).await?;
        self.left = true;
        Ok(())
    }

    pub(super) fn key(&self) -> &Bytes {
        &self.key
    }

    pub(super) fn token(&self) -> Revision {
        self.token
    }

    pub(super) fn lease(&self) -> &LeaseKeeper {
        &self.lease
    }

    /// The transaction, to be carried out only while the key is there.
    pub(super) fn guarded(&self, txn: Txn) -> Txn {
        txn.when(Compare::create_revision(self.key.clone(), Relation::Equal, self.token))
    }

    /// Ends when the lease is lost or the key deleted.
    pub(super) fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let (client, key, token, lease_lost) =
            (self.client.clone(), self.key.clone(), self.token, self.lease.lost());
        async move {
            let lease_lost = std::pin::pin!(lease_lost);
            tokio::select! {
                lost = lease_lost => Loss::Lease(lost),
                () = until_gone(&client, key, token) => Loss::Deleted,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Without a runtime there is nobody to delete it, nor to renew the lease.
        if let (false, Ok(runtime)) = (self.left, Handle::try_current()) {
            let (client, lost, deletion) = (self.client.clone(), self.lease.lost(), deletion(&self.key));
            runtime.spawn(async move {
                tokio::select! {
                    _ = lost => {}
                    // What fails for good fails again, and goes with the lease.
                    _ = insist(|| client.send(deletion.clone())) => {}
                }
            });
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("key", &self.key).field("token", &self.token).finish_non_exhaustive()
    }
}

/// Takes a place in the queue and waits until it is first, or the lease is lost. Outages in between are waited
/// out.
pub(super) async fn hold(client: &Client, lease: &LeaseKeeper, queue: &Queue, value: Bytes) -> Result<Place> {
    let holding = async {
        let place = insist(|| Place::take(client, lease, queue, value.clone())).await?;
        place.first().await?;
        Ok(place)
    };
    tokio::select! {
        biased;
        lost = lease.lost() => Err(lost.into()),
        held = holding => held,
    }
}

fn deletion(key: &Bytes) -> Txn {
    Txn::new().then(Delete::new(key.clone())).idempotent()
}

/// A put that names a lease which is gone is refused.
fn missing_lease(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::Lost, "the lease is gone").with_source(error),
        _ => error,
    }
}

/// The revision at which the key was put, by this attempt or an earlier one.
fn created_at(result: TxnResult) -> Result<Revision> {
    if result.succeeded {
        return Ok(result.header.revision);
    }
    match result.responses.into_iter().next() {
        Some(OperationResult::Get(own)) => own.kvs.first().map(|kv| kv.create_revision),
        _ => None,
    }
    .ok_or_else(|| malformed("the answer does not hold the key that it says is there"))
}
