use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;

use super::backoff::Backoff;
use super::scan::{Scan, ScanStream};
use super::watch::{RevisionEvents, Watch, WatchStream, WatchUpdate};
use crate::client::Client;
use crate::error::{ErrorKind, Result};
use crate::types::{ClusterId, Header, KeyRange, KeyValue, Revision};
use crate::util::random_fraction;

/// What a follower hears. Made for keeping a copy of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowUpdate {
    /// A list of all keys begins; one that had begun before and has not ended is void.
    Begin,
    /// A key of the list.
    Key(KeyValue),
    /// The list is complete: it takes the place of all that was known before.
    End {
        /// The revision of which the list tells.
        revision: Revision,
    },
    /// Changes of one revision. Every revision after the list's that changes the range is told, in order.
    Changes(RevisionEvents),
}

impl Client {
    /// Lists a range, then tells its changes, so that a copy of it can be kept: no change is missed between the
    /// list and the watch.
    ///
    /// Where the history between what was told and what is next has been compacted, as after a long time
    /// without a connection, or if the consumer is too slow for too long, the range is listed anew, and what
    /// the copy holds must be replaced. Whatever ends neither [`Client::scan`] nor [`Client::watch`] for good
    /// is waited for.
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use std::collections::BTreeMap;
    ///
    /// use etcd_ark::{Event, FollowUpdate, KeyRange};
    /// use futures_util::TryStreamExt;
    ///
    /// let (mut copy, mut list) = (BTreeMap::new(), BTreeMap::new());
    /// let mut updates = client.follow(KeyRange::prefix("app/"));
    /// while let Some(update) = updates.try_next().await? {
    ///     match update {
    ///         FollowUpdate::Begin => list.clear(),
    ///         FollowUpdate::Key(kv) => drop(list.insert(kv.key, kv.value)),
    ///         FollowUpdate::End { .. } => copy = std::mem::take(&mut list),
    ///         FollowUpdate::Changes(changes) => {
    ///             for event in changes.events {
    ///                 match event {
    ///                     Event::Put { kv, .. } => drop(copy.insert(kv.key, kv.value)),
    ///                     event => drop(copy.remove(event.key())),
    ///                 }
    ///             }
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::watch`], from the stream, which ends with its first error; but never
    /// [`ErrorKind::Compacted`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::watch`].
    pub fn follow(&self, range: impl Into<KeyRange>) -> FollowStream {
        let client = self.clone();
        let follower = Follower {
            client,
            range: range.into(),
            cluster: None,
            backoff: Backoff::default(),
            stage: Stage::Ahead,
        };
        let updates = stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(update) => Some((Ok(update), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        });
        FollowStream { updates: updates.boxed() }
    }
}

struct Follower {
    client: Client,
    range: KeyRange,
    cluster: Option<ClusterId>,
    backoff: Backoff,
    stage: Stage,
}

enum Stage {
    /// A list is to be begun.
    Ahead,
    Listing(ScanStream),
    Watching(WatchStream),
}

impl Follower {
    async fn next(&mut self) -> Result<FollowUpdate> {
        loop {
            match self.step().await {
                Ok(Some(update)) => return Ok(update),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Compacted || error.is_retryable() => {
                    self.stage = Stage::Ahead;
                    sleep(self.backoff.pause(random_fraction())).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<FollowUpdate>> {
        match &mut self.stage {
            Stage::Ahead => Ok(Some(self.begin())),
            Stage::Listing(scan) => match (scan.try_next().await?, scan.pinned()) {
                (Some(kv), _) => Ok(Some(FollowUpdate::Key(kv))),
                (None, listed) => Ok(listed.map(|listed| self.end(listed))),
            },
            Stage::Watching(watch) => match watch.try_next().await? {
                Some(WatchUpdate::Events(changes)) => Ok(Some(FollowUpdate::Changes(changes))),
                _ => Ok(None),
            },
        }
    }

    fn begin(&mut self) -> FollowUpdate {
        self.stage = Stage::Listing(self.client.scan(Scan::new(self.range.clone())));
        FollowUpdate::Begin
    }

    /// Watches from right after the list.
    fn end(&mut self, listed: Header) -> FollowUpdate {
        let (revision, cluster) = (listed.revision, *self.cluster.get_or_insert(listed.cluster_id));
        let watch = Watch::new(self.range.clone()).from(revision.next()).in_cluster(cluster);
        self.stage = Stage::Watching(self.client.watch(watch));
        self.backoff.reset();
        FollowUpdate::End { revision }
    }
}

/// A range's keys, then its changes. Made by [`Client::follow`].
pub struct FollowStream {
    updates: BoxStream<'static, Result<FollowUpdate>>,
}

impl Stream for FollowStream {
    type Item = Result<FollowUpdate>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.updates.poll_next_unpin(cx)
    }
}

impl fmt::Debug for FollowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowStream").finish_non_exhaustive()
    }
}
