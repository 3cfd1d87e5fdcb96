//! Watches that resume. What is decided is pure: a `Cursor` turns the responses of one watch into whole
//! revisions, a `Session` keeps apart what is said on one stream, an `Outlet` holds what a consumer has not
//! taken yet. Around them is thin IO: a `Lane` opens streams for the watches that share them, a `Hub` has the
//! lanes of a client.

mod cursor;
mod hub;
mod lane;
#[cfg(test)]
mod model;
mod outlet;
mod request;
mod session;
mod start;
mod subscription;
mod update;
mod watch_stream;

pub use request::Watch;
pub use update::{Event, RevisionEvents, WatchUpdate};
pub use watch_stream::WatchStream;

use std::sync::Arc;

use self::hub::Hub;
use self::outlet::Limits;
use self::request::Wish;
use self::start::start;
use self::subscription::Subscription;
use crate::client::Client;

impl Client {
    /// Watches a range: every change, whole revisions, in order, each exactly once.
    ///
    /// A watch outlives connections, members, tokens and elections: it goes on elsewhere, right after the last
    /// revision that came whole, however long that takes. It ends only with an error, after which the stream
    /// is over. Watches of one client share streams. Of what a consumer does not take yet at most 8 MiB and
    /// 4096 revisions are kept, or one larger revision; then the watch rests, and goes on
    /// where it was once all that has been taken. Dropped, it ends on the server too.
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use etcd_ark::{KeyRange, Watch, WatchUpdate};
    /// use futures_util::TryStreamExt;
    ///
    /// let mut watch = client.watch(Watch::new(KeyRange::prefix("app/")));
    /// while let Some(update) = watch.try_next().await? {
    ///     if let WatchUpdate::Events(changes) = update {
    ///         println!("{}: {:?}", changes.revision, changes.events);
    ///     }
    ///     println!("to be stored, for `Watch::from` after a restart: {:?}", watch.next_revision());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// From the stream, which ends with its first error. [`Compacted`] if changes that were not delivered have
    /// been dropped from the history: read the keys anew, and watch from there on, or use [`Client::follow`], which does that. [`PermissionDenied`] and
    /// [`Auth`] as for reads. [`Config`] for an empty range, a revision below 1, or if the endpoints lead to
    /// another cluster than before. Never because members can't be reached: there is no time limit.
    ///
    /// # Cancel safety
    ///
    /// The stream may be dropped at any time, and so may the future of its next item, after which it goes on
    /// where it was.
    ///
    /// [`Auth`]: crate::ErrorKind::Auth
    /// [`Compacted`]: crate::ErrorKind::Compacted
    /// [`Config`]: crate::ErrorKind::Config
    /// [`PermissionDenied`]: crate::ErrorKind::PermissionDenied
    pub fn watch(&self, watch: impl Into<Watch>) -> WatchStream {
        let watch = watch.into();
        let (checked, from, progress, cluster) = (watch.check(), watch.from, watch.progress, watch.cluster);
        let wish = Wish::new(watch, self.current_namespace().clone());
        let subscription = Arc::new(Subscription::new(wish, Limits::DEFAULT));
        let hub = self.shared(Hub::default);
        match (checked, from) {
            (Err(error), _) => subscription.outlet.fail(error),
            (Ok(()), Some(from)) => {
                subscription.outlet.begin(from, cluster);
                hub.join(self.transport(), &subscription);
            }
            (Ok(()), None) => drop(tokio::spawn(start(self.clone(), hub, Arc::clone(&subscription)))),
        }
        WatchStream::new(subscription, progress)
    }
}
