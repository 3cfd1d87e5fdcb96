mod hub;
mod line;
mod lost;
mod rota;
mod tenure;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::hub::{Hub, Kept};
pub use self::lost::LeaseLost;
use self::tenure::Start;
use crate::client::{Client, GrantLease, RevokeLease};
use crate::error::{ErrorKind, Result};
use crate::types::LeaseId;

/// A lease that is renewed in the background for as long as this or a clone of it lives.
///
/// Made by [`Client::grant_lease`] and [`Client::keep_lease`]. With the last clone dropped, it is renewed no
/// more: it runs out at the server in at most its ttl. [`LeaseKeeper::revoke`] ends it at once.
///
/// A lease is renewed at a third of its ttl. Members that die, hang or lose the others are left; a renewal
/// without an answer at two thirds is tried another way. The lease counts as held until nine tenths of its
/// ttl after the last answered renewal was *asked* for, so that its holder hears of a loss before the
/// server may give its keys to others. With a ttl of less than 10 s that may come to pass while a cluster
/// that lost its leader elects another.
///
/// That rests on this process running: one that stops, or a machine that sleeps, may take itself for the
/// holder for a moment after it wakes. What must not happen twice is to be
/// [guarded](crate::LockGuard::guarded) as well.
#[derive(Clone)]
pub struct LeaseKeeper {
    client: Client,
    kept: Arc<Kept>,
}

impl Client {
    /// Grants a lease and keeps it until the keeper is dropped.
    ///
    /// The ttl is counted in whole seconds, a part of one as a whole; servers raise it to their minimum (2 s
    /// by default).
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use std::time::Duration;
    ///
    /// use etcd_ark::Put;
    ///
    /// let lease = client.grant_lease(Duration::from_secs(30)).await?;
    /// client.send(Put::new("/services/web/1", "10.0.0.7:80").lease(lease.id())).await?;
    /// println!("no longer registered: {}", lease.lost().await);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was sent, it may leave a lease behind that runs out by itself.
    pub async fn grant_lease(&self, ttl: Duration) -> Result<LeaseKeeper> {
        let asked = Instant::now();
        let granted = self.send(GrantLease::new(ttl)).await?;
        if asked.elapsed() > granted.ttl / 2 {
            // Granted under difficulties, and who knows when.
            return self.keep_lease(granted.id).await;
        }
        Ok(self.keeper(granted.id, Start { asked, ttl: granted.ttl, confirmed: true }))
    }

    /// Renews a lease that exists, and keeps it until the keeper is dropped.
    ///
    /// A lease may have many keepers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such lease; otherwise why it could not be renewed within the
    /// client's request timeout. With authentication on, [`ErrorKind::PermissionDenied`] for users who may not
    /// write all keys that are attached to it.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the lease may have been renewed once.
    pub async fn keep_lease(&self, id: LeaseId) -> Result<LeaseKeeper> {
        let start =
            Start { asked: Instant::now(), ttl: self.transport().request_timeout(), confirmed: false };
        let keeper = self.keeper(id, start);
        keeper.kept.tenure.first_answer().await?;
        Ok(keeper)
    }

    fn keeper(&self, id: LeaseId, start: Start) -> LeaseKeeper {
        let kept = self.shared(Hub::default).keep(self, id, start);
        LeaseKeeper { client: self.clone(), kept: Arc::new(kept) }
    }
}

impl LeaseKeeper {
    /// The lease's id, for [`Put::lease`](crate::Put::lease).
    #[must_use]
    pub fn id(&self) -> LeaseId {
        self.kept.id.lease
    }

    /// What each renewal resets the lease's time to.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.kept.tenure.ttl()
    }

    /// For how long the lease is held for certain, if no further renewal is answered; nothing once it is lost.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let until = self.kept.tenure.now();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Whether the lease is held for certain. Once it is not, it never is again.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.kept.tenure.now().is_ok()
    }

    /// Ends when the lease is lost, and tells why. Needs nobody to poll anything else, and does not keep the
    /// lease: it may be awaited by a task of its own.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub fn lost(&self) -> impl Future<Output = LeaseLost> + Send + use<> {
        let tenure = Arc::clone(&self.kept.tenure);
        async move { tenure.lost().await }
    }

    /// Ends the lease, for its clones too: the keys attached to it are deleted, at one revision. A lease that
    /// is gone already is as good.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]; the lease, no longer renewed, then runs out within its ttl.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has at least ended the renewing.
    pub async fn revoke(self) -> Result<()> {
        let Self { client, kept } = self;
        let (id, tenure) = (kept.id.lease, Arc::clone(&kept.tenure));
        drop(kept);
        match client.send(RevokeLease::new(id)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => tenure.gone(),
        }
        Ok(())
    }
}

impl fmt::Debug for LeaseKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseKeeper").field("id", &self.id()).field("standing", &self.kept.tenure).finish()
    }
}
