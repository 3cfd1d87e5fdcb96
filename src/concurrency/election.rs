use std::future::Future;

use bytes::Bytes;

use super::loss::Loss;
use super::observe::{LeaderStream, leaders};
use super::place::{Place, hold};
use super::queue::{Contenders, Queue};
use crate::client::{Client, Get, Txn};
use crate::error::Result;
use crate::stream::LeaseKeeper;
use crate::types::{KeyValue, Revision};

/// An election: of those who campaign at most one leads, and all can see which. Made by [`Client::election`].
#[derive(Clone, Debug)]
pub struct Election {
    client: Client,
    queue: Queue,
}

impl Client {
    /// The election of this name. Elections of Go's clients and of `etcdctl elect` with the same name are the
    /// same.
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use std::time::Duration;
    ///
    /// let lease = client.grant_lease(Duration::from_secs(15)).await?;
    /// let mut leadership = client.election("/scheduler").campaign(&lease, "10.0.0.7:80").await?;
    /// leadership.proclaim("10.0.0.7:81").await?;
    /// println!("no longer the leader: {}", leadership.lost().await);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn election(&self, name: impl AsRef<[u8]>) -> Election {
        Election { client: self.clone(), queue: Queue::new(name.as_ref()) }
    }
}

impl Election {
    /// Waits to become the leader, and leads until the leadership is dropped or the lease is lost. The value is
    /// what others see, such as an address. As [`Client::lock`] in all else.
    ///
    /// # Errors
    ///
    /// As [`Client::lock`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::lock`].
    pub async fn campaign(&self, lease: &LeaseKeeper, value: impl Into<Bytes>) -> Result<Leadership> {
        hold(&self.client, lease, &self.queue, value.into()).await.map(Leadership)
    }

    /// The leader's key: its value is what was proclaimed last, the revision that created it the leader's
    /// fencing token. `None` if nobody leads.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn leader(&self) -> Result<Option<KeyValue>> {
        let found = self.client.send(Get::new(self.queue.range())).await?;
        Ok(Contenders::new(self.queue.clone(), found.kvs).leader().cloned())
    }

    /// The leader now, as [`Election::leader`] tells it, and each time that it changes or proclaims anew.
    ///
    /// No change is left out, whatever happens to members and connections, unless the history that tells of it
    /// is compacted meanwhile; then the newest follows.
    ///
    /// # Errors
    ///
    /// From the stream, which ends with its first error: [`PermissionDenied`](crate::ErrorKind::PermissionDenied)
    /// or [`Auth`](crate::ErrorKind::Auth). Never because members can't be reached: there is no time limit.
    ///
    /// # Cancel safety
    ///
    /// The stream may be dropped at any time, and so may the future of its next item, after which it goes on
    /// where it was.
    #[must_use]
    pub fn observe(&self) -> LeaderStream {
        leaders(self.client.clone(), self.queue.clone())
    }
}

/// A won election. Made by [`Election::campaign`].
///
/// Dropped, it is resigned from in the background; [`Leadership::resign`] waits for that. It keeps its lease.
/// What [`LockGuard`](crate::LockGuard) says of what a lock promises is true here, too.
#[derive(Debug)]
#[must_use = "a leadership that is dropped is over"]
pub struct Leadership(Place);

impl Leadership {
    /// Gives the leader another value, for all who look.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Lost`](crate::ErrorKind::Lost) if it no longer leads; else as [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was sent, it may or may not take effect.
    pub async fn proclaim(&mut self, value: impl Into<Bytes>) -> Result<()> {
        self.0.put(value.into()).await
    }

    /// Grows from leader to leader; see [`LockGuard::fencing_token`](crate::LockGuard::fencing_token).
    #[must_use]
    pub fn fencing_token(&self) -> Revision {
        self.0.token()
    }

    /// The key that is there while it leads. Whoever deletes it deposes the leader.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        self.0.key()
    }

    /// The transaction, with a comparison more: it only [succeeds](crate::TxnResult::succeeded) if this leader
    /// leads at that moment. To be sent by a client of the same namespace.
    #[must_use = "the transaction has yet to be sent"]
    pub fn guarded(&self, txn: Txn) -> Txn {
        self.0.guarded(txn)
    }

    /// Whether the lease is held for certain. A key that someone deleted is noticed by [`Leadership::lost`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.lease().is_held()
    }

    /// Ends when the leadership is lost, and tells why. It does not keep it: it may be awaited by a task of its
    /// own.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        self.0.lost()
    }

    /// Makes way for the next one, also if it leads no longer.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. It is then tried again in the background for as long as the lease lives.
    ///
    /// # Cancel safety
    ///
    /// As if the leadership were dropped.
    pub async fn resign(self) -> Result<()> {
        self.0.leave().await
    }
}
