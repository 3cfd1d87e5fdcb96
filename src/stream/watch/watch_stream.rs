use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::subscription::Subscription;
use super::update::WatchUpdate;
use crate::error::Result;
use crate::types::Revision;

/// The changes of a range, revision by revision. Made by [`Client::watch`](crate::Client::watch).
pub struct WatchStream {
    subscription: Arc<Subscription>,
    /// Whether progress is delivered, beside being noted.
    progress: bool,
}

impl WatchStream {
    pub(super) fn new(subscription: Arc<Subscription>, progress: bool) -> Self {
        Self { subscription, progress }
    }

    /// The revision to give to [`Watch::from`](crate::Watch::from) to go on right after what was taken from
    /// this stream. `None` until the watch has begun.
    ///
    /// It also rises while nothing in the range changes, as servers tell how far they have got, if the stream
    /// is polled.
    #[must_use]
    pub fn next_revision(&self) -> Option<Revision> {
        self.subscription.outlet.taken()
    }

    /// Waits until it is settled where the watch begins, and tells the revision: changes made after this
    /// returns are delivered. At once if [`Watch::from`](crate::Watch::from) was given.
    ///
    /// # Errors
    ///
    /// As the stream's items; the stream is then over.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn started(&mut self) -> Result<Revision> {
        poll_fn(|cx| self.subscription.outlet.poll_begun(cx)).await
    }
}

impl Stream for WatchStream {
    type Item = Result<WatchUpdate>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(taken) = ready!(self.subscription.outlet.poll_take(cx)) else {
                return Poll::Ready(None);
            };
            if taken.drained {
                self.subscription.drained();
            }
            if self.progress || !matches!(taken.update, Ok(WatchUpdate::Progress(_))) {
                return Poll::Ready(Some(taken.update));
            }
        }
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.subscription.leave();
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream")
            .field("range", self.subscription.wish.range())
            .field("next_revision", &self.next_revision())
            .finish_non_exhaustive()
    }
}
