use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use super::batch::Change;
use crate::client::{Client, GrantLease};
use crate::error::{ErrorKind, Result};
use crate::types::LeaseId;

/// Leases that are granted at once.
const IN_FLIGHT: usize = 16;

/// Grants the leases of restored keys, each when the first key that needs it is written.
#[derive(Debug)]
pub(super) struct LeaseGranter {
    client: Client,
    ttls: BTreeMap<LeaseId, Duration>,
    granted: Mutex<HashSet<LeaseId>>,
}

impl LeaseGranter {
    pub(super) fn new(client: Client, ttls: BTreeMap<LeaseId, Duration>) -> Self {
        Self { client, ttls, granted: Mutex::default() }
    }

    /// How many leases were granted or found in place.
    pub(super) async fn count(&self) -> usize {
        self.granted.lock().await.len()
    }

    /// Sees to it that every lease which these changes need is there.
    pub(super) async fn ensure(&self, batch: &[Change]) -> Result<()> {
        let mut granted = self.granted.lock().await;
        let wanted: BTreeSet<_> = batch.iter().filter_map(Change::lease).collect();
        let wanted = stream::iter(wanted.into_iter().filter(|id| !granted.contains(id)));
        let new: Vec<_> = wanted.map(|id| self.grant(id)).buffer_unordered(IN_FLIGHT).try_collect().await?;
        granted.extend(new);
        Ok(())
    }

    /// Takes note that the server no longer has some lease of these changes: a short one may run out
    /// while the restore is under way.
    pub(super) async fn forget(&self, batch: &[Change]) {
        let mut granted = self.granted.lock().await;
        for id in batch.iter().filter_map(Change::lease) {
            granted.remove(&id);
        }
    }

    async fn grant(&self, id: LeaseId) -> Result<LeaseId> {
        // A lease that ran out while the backup was made has no time to grant: the server's minimum
        // brings its keys back and lets them go, as the source did.
        let ttl = self.ttls.get(&id).copied().unwrap_or_default();
        match self.client.send(GrantLease::new(ttl).id(id)).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(id),
            outcome => outcome.map(|_| id).map_err(|error| error.context(format!("granting lease {id}"))),
        }
    }
}
