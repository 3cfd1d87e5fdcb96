use std::future::Future;

use bytes::Bytes;

use super::loss::Loss;
use super::place::{Place, hold};
use super::queue::Queue;
use crate::client::{Client, Txn};
use crate::error::Result;
use crate::stream::LeaseKeeper;
use crate::types::Revision;

impl Client {
    /// Waits for the lock of this name, and holds it until the guard is dropped or the lease is lost.
    ///
    /// Those who wait get the lock in the order in which they came. Each waits for the one before it alone.
    /// Trouble with the cluster is waited out for as long as the lease is held. Locks of Go's clients and of
    /// `etcdctl lock` with the same name are the same locks. Two calls never share a lock, not even with one
    /// lease.
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use std::time::Duration;
    ///
    /// use etcd_ark::{Put, Txn};
    ///
    /// let lease = client.grant_lease(Duration::from_secs(15)).await?;
    /// let lock = client.lock("/locks/report", &lease).await?;
    /// let write = lock.guarded(Txn::new().then(Put::new("/report", "done")));
    /// assert!(client.send(write).await?.succeeded, "the lock was lost in the meantime");
    /// lock.unlock().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if the lease is lost, or someone deletes the key that waits.
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) without the right to read and write
    /// what begins with the name and a slash.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time. The key that waits is then deleted in the background; if that can't be done
    /// it stays no longer than the lease.
    pub async fn lock(&self, name: impl AsRef<[u8]>, lease: &LeaseKeeper) -> Result<LockGuard> {
        hold(self, lease, &Queue::new(name.as_ref()), Bytes::new()).await.map(LockGuard)
    }

    /// Takes the lock of this name if nobody holds it or waits for it; `None` if someone does.
    ///
    /// # Errors
    ///
    /// As [`Client::lock`], and as [`Client::send`] if the cluster can't serve it in time.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::lock`].
    pub async fn try_lock(&self, name: impl AsRef<[u8]>, lease: &LeaseKeeper) -> Result<Option<LockGuard>> {
        let place = Place::take(self, lease, &Queue::new(name.as_ref()), Bytes::new()).await?;
        if place.ahead().await?.is_none() {
            return Ok(Some(LockGuard(place)));
        }
        place.leave().await?;
        Ok(None)
    }
}

/// A lock that is held. Made by [`Client::lock`] and [`Client::try_lock`].
///
/// Dropped, it is given back in the background; [`LockGuard::unlock`] waits for that. It keeps its lease.
///
/// A lock is held by the word of a lease: nobody else gets it before [`LockGuard::lost`] tells, if this
/// process runs on and its clock is no slower than a tenth. Writes that must never overlap are to be
/// [guarded](LockGuard::guarded), or to carry the [fencing token](LockGuard::fencing_token) to where they go.
#[derive(Debug)]
#[must_use = "a lock is given back when its guard is dropped"]
pub struct LockGuard(Place);

impl LockGuard {
    /// Grows from holder to holder: whoever keeps the highest one it has seen, and refuses lower ones, serves
    /// no holder of the past.
    #[must_use]
    pub fn fencing_token(&self) -> Revision {
        self.0.token()
    }

    /// The key that is there while the lock is held. Whoever deletes it takes the lock away.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        self.0.key()
    }

    /// The transaction, with a comparison more: it only [succeeds](crate::TxnResult::succeeded) if the lock is
    /// held at that moment. To be sent by a client of the same namespace.
    #[must_use = "the transaction has yet to be sent"]
    pub fn guarded(&self, txn: Txn) -> Txn {
        self.0.guarded(txn)
    }

    /// Whether the lease is held for certain. A key that someone deleted is noticed by [`LockGuard::lost`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.lease().is_held()
    }

    /// Ends when the lock is lost, and tells why. It does not keep the lock: it may be awaited by a task of its
    /// own.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        self.0.lost()
    }

    /// Gives the lock back, also if it is lost already.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. It is then tried again in the background for as long as the lease lives.
    ///
    /// # Cancel safety
    ///
    /// As if the guard were dropped.
    pub async fn unlock(self) -> Result<()> {
        self.0.leave().await
    }
}
