use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::server::Store;
use super::{FIRST, LIMITS};
use crate::error::ErrorKind;
use crate::stream::watch::request::Wish;
use crate::stream::watch::subscription::Subscription;
use crate::stream::watch::{Watch, WatchUpdate};
use crate::types::{Namespace, Revision};

/// What a consumer has seen, and may see next.
pub(super) struct Consumer {
    pub(super) watch: Arc<Subscription>,
    pub(super) next: i64,
    pub(super) denied: bool,
    pub(super) over: bool,
}

impl Consumer {
    pub(super) fn new(number: usize) -> Self {
        let next = FIRST + i64::try_from(number).unwrap();
        // The range only tells whose request it is: all get the same events.
        let wish = Wish::new(Watch::new(number.to_string()), Namespace::default());
        let watch = Arc::new(Subscription::new(wish, LIMITS));
        watch.outlet.begin(Revision(next), None);
        Self { watch, next, denied: false, over: false }
    }

    /// Takes an update. `None` if there is none; otherwise whether there was room made for more.
    pub(super) fn take(&mut self, store: &Store) -> Option<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(taken)) = self.watch.outlet.poll_take(&mut cx) else { return None };
        let gap = |to| (self.next..to).find(|&revision| !store.events(revision).is_empty());
        match taken.update {
            Ok(WatchUpdate::Events(changes)) => {
                let revision = changes.revision.0;
                assert!(revision >= self.next, "{revision} after {}", self.next - 1);
                assert_eq!(gap(revision), None, "missed before {revision}");
                let expected =
                    store.events(revision).iter().map(|event| event.kv.as_ref().unwrap().key.clone());
                assert!(changes.events.iter().map(|event| event.key().clone()).eq(expected), "{changes:?}");
                self.next = revision + 1;
            }
            Ok(WatchUpdate::Progress(revision)) => {
                assert_eq!(gap(revision.0 + 1), None, "missed before progress to {revision}");
                self.next = self.next.max(revision.0 + 1);
            }
            Err(error) => {
                let lost = error.compacted_at().is_some_and(|at| at.0 > self.next);
                let denied = self.denied && error.kind() == ErrorKind::PermissionDenied;
                assert!(lost || denied, "{error}, but {} is next", self.next);
                self.over = true;
            }
        }
        if !self.over {
            assert_eq!(self.watch.outlet.taken(), Some(Revision(self.next)));
        }
        Some(taken.drained)
    }
}
