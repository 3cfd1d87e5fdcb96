use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::queue::{Contenders, Queue};
use super::waiting::insist;
use crate::client::{Client, Get};
use crate::error::{ErrorKind, Result};
use crate::stream::{Watch, WatchStream, WatchUpdate};
use crate::types::KeyValue;

/// The leaders of an election, one after the other. Made by [`Election::observe`](crate::Election::observe).
pub struct LeaderStream(BoxStream<'static, Result<Option<KeyValue>>>);

pub(super) fn leaders(client: Client, queue: Queue) -> LeaderStream {
    let observer = Observer { client, queue, view: None, told: None };
    let leaders = stream::unfold(Some(observer), |observer| async {
        let mut observer = observer?;
        match observer.next().await {
            Ok(leader) => Some((Ok(leader), Some(observer))),
            Err(error) => Some((Err(error), None)),
        }
    });
    LeaderStream(leaders.boxed())
}

struct Observer {
    client: Client,
    queue: Queue,
    /// What is known, and what tells of the changes; `None` before it was read.
    view: Option<(Contenders, WatchStream)>,
    /// The leader that was told last; `None` before any was.
    told: Option<Option<KeyValue>>,
}

impl Observer {
    /// The next leader that is not the one told last.
    async fn next(&mut self) -> Result<Option<KeyValue>> {
        loop {
            self.look().await?;
            let leader = self.view.as_ref().and_then(|(contenders, _)| contenders.leader());
            if self.told.as_ref().map(Option::as_ref) != Some(leader) {
                let leader = leader.cloned();
                self.told = Some(leader.clone());
                return Ok(leader);
            }
        }
    }

    /// Reads who contends, or what has changed since.
    async fn look(&mut self) -> Result<()> {
        let Some((contenders, changes)) = &mut self.view else { return self.read().await };
        match changes.try_next().await {
            Ok(Some(WatchUpdate::Events(changes))) => contenders.apply(changes),
            Ok(Some(_)) => {}
            Ok(None) => self.view = None,
            Err(error) if error.kind() == ErrorKind::Compacted => self.view = None,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        let found = insist(|| self.client.send(Get::new(self.queue.range()))).await?;
        let changes = self.client.watch(Watch::new(self.queue.range()).from(found.header.revision.next()));
        self.view = Some((Contenders::new(self.queue.clone(), found.kvs), changes));
        Ok(())
    }
}

impl Stream for LeaderStream {
    type Item = Result<Option<KeyValue>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for LeaderStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderStream").finish_non_exhaustive()
    }
}
