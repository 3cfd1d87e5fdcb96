use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::Mutex;

use super::batch::Change;
use crate::archive::Lease;
use crate::client::{Client, GrantLease};
use crate::error::{ErrorKind, Result};
use crate::types::LeaseId;

/// Grants an archive's leases again, each when the first key that needs it is written.
#[derive(Debug)]
pub(super) struct LeaseGranter {
    client: Client,
    archived: HashMap<LeaseId, Duration>,
    granted: Mutex<HashSet<LeaseId>>,
}

impl LeaseGranter {
    pub(super) fn new(client: Client, archived: Vec<Lease>) -> Self {
        let archived = archived.into_iter().map(|lease| (lease.id, lease.granted_ttl)).collect();
        Self { client, archived, granted: Mutex::default() }
    }

    /// How many leases were granted or found in place.
    pub(super) async fn count(&self) -> usize {
        self.granted.lock().await.len()
    }

    /// Sees to it that every lease which these changes need is there.
    pub(super) async fn ensure(&self, batch: &[Change]) -> Result<()> {
        let mut granted = self.granted.lock().await;
        for id in batch.iter().filter_map(Change::lease) {
            if !granted.contains(&id) {
                self.grant(id).await?;
                granted.insert(id);
            }
        }
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

    /// With its old id, so that its holder can go on renewing it, and for its full time.
    async fn grant(&self, id: LeaseId) -> Result<()> {
        // A lease that ran out while the backup was made has no time to grant: the server's minimum
        // brings its keys back and lets them go, as the source did.
        let ttl = self.archived.get(&id).copied().unwrap_or_default();
        match self.client.send(GrantLease::new(ttl).id(id)).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome.map(drop).map_err(|error| error.context(format!("granting lease {id}"))),
        }
    }
}
