use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::archive::Lease;
use crate::client::{Client, LeaseTimeToLive};
use crate::error::Result;
use crate::types::LeaseId;

const IN_FLIGHT: usize = 16;

/// How these leases stand, in the order of their ids. One that is gone stands at no time at all.
pub(super) async fn read_leases(client: &Client, ids: BTreeSet<LeaseId>) -> Result<Vec<Lease>> {
    stream::iter(ids).map(|id| read_lease(client, id)).buffered(IN_FLIGHT).try_collect().await
}

async fn read_lease(client: &Client, id: LeaseId) -> Result<Lease> {
    let answer = client.send(LeaseTimeToLive::new(id)).await?;
    let (granted_ttl, remaining_ttl) =
        answer.lease.map(|times| (times.granted, times.remaining)).unwrap_or_default();
    Ok(Lease { id, granted_ttl, remaining_ttl })
}
