use std::sync::Arc;

use tokio::time::sleep;

use super::hub::Hub;
use super::subscription::Subscription;
use crate::client::{Client, Get};
use crate::error::Result;
use crate::stream::backoff::Backoff;
use crate::types::{Header, KeyRange};
use crate::util::random_fraction;

/// Begins a watch right after the newest revision.
///
/// A linearizable read tells which that is. A server's own "now" is no position: it is where that member has
/// got to, it may lie behind, and a stream that breaks before the first event would not know where it was.
pub(super) async fn start(client: Client, hub: Hub, watch: Arc<Subscription>) {
    match newest(&client, &watch).await {
        Ok(Some(header)) => {
            watch.outlet.begin(header.revision.next(), Some(header.cluster_id));
            hub.join(client.transport(), &watch);
        }
        Ok(None) => {}
        Err(error) => watch.outlet.fail(error),
    }
}

/// `None` if nobody wants to know any more.
async fn newest(client: &Client, watch: &Subscription) -> Result<Option<Header>> {
    // Of one key: a count of the whole range would say no more and cost more.
    let read = Get::new(KeyRange::key(watch.wish.range().to_wire().0)).count_only();
    let mut backoff = Backoff::default();
    while watch.outlet.is_open() {
        match client.send(read.clone()).await {
            Ok(answer) => return Ok(Some(answer.header)),
            Err(error) if !error.is_retryable() => return Err(error),
            Err(_) => sleep(backoff.pause(random_fraction())).await,
        }
    }
    Ok(None)
}
