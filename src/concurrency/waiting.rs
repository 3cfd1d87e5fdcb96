//! Waiting for keys to go, and for clusters to come back.

use std::future::{Future, pending};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::sleep;

use crate::client::{Client, Get};
use crate::error::{ErrorKind, Result};
use crate::stream::{Event, Watch, WatchUpdate};
use crate::types::Revision;

/// The pause before a request is tried again that a cluster in trouble could not serve.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again what a cluster in trouble could not do.
pub(super) async fn insist<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    loop {
        match attempt().await {
            Err(error) if error.is_retryable() => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// Ends when the key that was created at this revision is gone; not for trouble with the cluster.
pub(super) async fn until_gone(client: &Client, key: Bytes, created: Revision) {
    loop {
        let look = Get::new(key.clone()).keys_only();
        match insist(|| client.send(look.clone())).await {
            Ok(found) if found.kvs.iter().all(|kv| kv.create_revision != created) => return,
            Ok(found) => {
                // Whatever ends the watch, the key is looked for again.
                if until_deleted(client, key.clone(), found.header.revision).await.is_err() {
                    sleep(PAUSE).await;
                }
            }
            // Such as a permission that was taken away: the lease has to tell, then.
            Err(_) => pending().await,
        }
    }
}

/// Ends when a key that was there at this revision is deleted, or has been before the history begins.
pub(super) async fn until_deleted(client: &Client, key: Bytes, seen: Revision) -> Result<()> {
    let mut watch = client.watch(Watch::new(key).from(seen.next()).only_deletes());
    loop {
        match watch.try_next().await {
            Ok(Some(WatchUpdate::Events(changes))) if deletes(&changes.events) => return Ok(()),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            // Whoever waits looks again.
            Err(error) if error.kind() == ErrorKind::Compacted => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn deletes(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Delete { .. }))
}
