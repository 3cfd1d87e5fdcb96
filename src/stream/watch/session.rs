//! What is said on one stream that watches share. Pure: responses go in, requests come out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::cursor::Cursor;
use super::request::cancel;
use super::subscription::Subscription;
use crate::error::{Error, ErrorKind, Result};
use crate::net::kind_of_reason;
use crate::pb::etcdserverpb::{WatchRequest, WatchResponse};
use crate::types::{ClusterId, Revision};

/// The watches of one stream.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Asked for, in this order, which is that of the answers: a refusal does not tell whom it is for.
    creating: VecDeque<Arc<Subscription>>,
    running: HashMap<i64, Running>,
    last_id: i64,
    /// To be sent, in this order.
    requests: Vec<WatchRequest>,
    progressed: bool,
}

#[derive(Debug)]
struct Running {
    watch: Arc<Subscription>,
    cursor: Cursor,
}

/// What follows from a response.
#[derive(Debug)]
pub(super) enum Reaction {
    /// Nothing more is to be done.
    None,
    /// The watch fails for good.
    Fail(Arc<Subscription>, Error),
    /// The watch is refused for the stream's token. It may go on with another, on another stream.
    Refused(Arc<Subscription>, Error),
    /// The stream is of no use any more. Its watches go on with another.
    Reopen,
}

impl Session {
    /// Asks for a watch from where its consumer's updates go on, unless it needs none now.
    pub(super) fn create(&mut self, watch: &Arc<Subscription>) {
        let wanted = watch.outlet.wants().filter(|_| !self.holds(watch));
        if let Some(from) = wanted {
            // Our own ids, since 0 is the servers' word for "any", and each once: what is still on its way
            // for a cancelled watch must not reach another.
            self.last_id += 1;
            self.requests.push(watch.wish.create(self.last_id, from));
            self.creating.push_back(Arc::clone(watch));
        }
    }

    /// Ends a watch; one that has not begun yet ends when it does.
    pub(super) fn cancel(&mut self, watch: &Arc<Subscription>) {
        let is_it = |(_, running): &(&i64, &Running)| Arc::ptr_eq(&running.watch, watch);
        if let Some(id) = self.running.iter().find(is_it).map(|(&id, _)| id) {
            self.stop(id);
        }
    }

    fn stop(&mut self, id: i64) {
        self.running.remove(&id);
        self.requests.push(cancel(id));
    }

    /// The requests that have to be sent now.
    pub(super) fn take_requests(&mut self) -> Vec<WatchRequest> {
        std::mem::take(&mut self.requests)
    }

    /// Whether the watch runs, or is about to.
    pub(super) fn holds(&self, watch: &Arc<Subscription>) -> bool {
        let running = self.running.values().map(|running| &running.watch);
        running.chain(&self.creating).any(|held| Arc::ptr_eq(held, watch))
    }

    /// Whether nobody waits for anything on the stream.
    pub(super) fn is_idle(&self) -> bool {
        self.creating.is_empty() && self.running.is_empty()
    }

    /// Whether the stream has brought anybody further.
    pub(super) fn has_progressed(&self) -> bool {
        self.progressed
    }

    pub(super) fn receive(&mut self, response: WatchResponse) -> Reaction {
        match (response.created, response.canceled) {
            (true, false) => self.created(response),
            (true, true) => self.refused(&response),
            (false, true) => self.canceled(&response),
            (false, false) => self.advanced(response),
        }
    }

    fn created(&mut self, response: WatchResponse) -> Reaction {
        // An answer to nothing: whom the next is for can't be told either.
        let Some(watch) = self.creating.pop_front() else { return Reaction::Reopen };
        let (id, cluster) = (response.watch_id, response.header.map_or(0, |header| header.cluster_id));
        let Some(next) = watch.outlet.wants() else {
            self.stop(id);
            return Reaction::None;
        };
        if let Err(error) = watch.outlet.check_cluster(ClusterId(cluster)) {
            self.stop(id);
            return Reaction::Fail(watch, error);
        }
        // A proxy may give ids of its own.
        watch.was_created();
        self.running.insert(id, Running { watch, cursor: Cursor::at(next) });
        Reaction::None
    }

    /// The id in a refusal says nothing; old servers put that of another watch there.
    fn refused(&mut self, response: &WatchResponse) -> Reaction {
        self.creating.pop_front().map_or(Reaction::Reopen, |watch| ended(watch, response))
    }

    fn canceled(&mut self, response: &WatchResponse) -> Reaction {
        // One that we have cancelled is not among the running.
        self.running.remove(&response.watch_id).map_or(Reaction::None, |running| match response {
            WatchResponse { compact_revision: 0, cancel_reason, .. } if cancel_reason.is_empty() => {
                Reaction::Reopen
            }
            _ => ended(running.watch, response),
        })
    }

    fn advanced(&mut self, response: WatchResponse) -> Reaction {
        let id = response.watch_id;
        // What was on its way to a watch that we have cancelled.
        let Some(running) = self.running.get_mut(&id) else { return Reaction::None };
        match running.deliver(response) {
            Ok(true) => {
                self.progressed = true;
                Reaction::None
            }
            Ok(false) => {
                self.stop(id);
                Reaction::None
            }
            Err(error) => {
                let watch = Arc::clone(&running.watch);
                self.stop(id);
                Reaction::Fail(watch, error)
            }
        }
    }
}

impl Running {
    /// Whether the consumer has room for it.
    fn deliver(&mut self, response: WatchResponse) -> Result<bool> {
        let updates = self.cursor.advance(&self.watch.wish, response)?;
        Ok(updates.into_iter().all(|update| self.watch.outlet.offer(update)))
    }
}

/// What a server's word that a watch is over leads to.
fn ended(watch: Arc<Subscription>, response: &WatchResponse) -> Reaction {
    if response.compact_revision > 0 {
        return compacted(watch, Revision(response.compact_revision));
    }
    let reason = &response.cancel_reason;
    let kind = kind_of_reason(reason);
    let error = Error::new(kind, format!("the server ended the watch of {}: {reason}", watch.wish.range()));
    match kind {
        // The latter may mean the former: servers before 3.5.6 say so of an expired token, too.
        ErrorKind::Auth | ErrorKind::PermissionDenied => Reaction::Refused(watch, error),
        _ if error.is_retryable() => Reaction::Reopen,
        _ => Reaction::Fail(watch, error),
    }
}

fn compacted(watch: Arc<Subscription>, at: Revision) -> Reaction {
    // A server that was to repeat what had come can't, and need not.
    if watch.outlet.wants().is_some_and(|next| next >= at) {
        return Reaction::Reopen;
    }
    let message = format!(
        "the history of {} before revision {at} has been compacted, and not all of it was delivered; read it anew",
        watch.wish.range()
    );
    let error = Error::new(ErrorKind::Compacted, message).with_compacted_at(at);
    Reaction::Fail(watch, error)
}
