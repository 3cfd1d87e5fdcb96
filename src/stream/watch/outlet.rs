//! Between the stream, which must never wait for a consumer, and a consumer, who may be slow.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::update::WatchUpdate;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, Revision};
use crate::util::lock;

/// How much is kept for a consumer. One revision is always taken, however large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) revisions: usize,
    pub(super) bytes: usize,
}

impl Limits {
    /// Servers catch a watch up by a thousand revisions at a time and split responses at 2 MiB: four of the
    /// largest that are usual.
    pub(super) const DEFAULT: Self = Self { revisions: 4096, bytes: 8 << 20 };
}

/// What has come for a watch and was not taken yet.
#[derive(Debug)]
pub(super) struct Outlet {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<WatchUpdate>,
    bytes: usize,
    /// Where the servers are to go on: everything before is in the queue, or was.
    accepted: Option<Revision>,
    /// Where a consumer goes on who has done with what it took.
    taken: Option<Revision>,
    cluster: Option<ClusterId>,
    overflown: bool,
    end: End,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    NotYet,
    /// Once the queue is empty.
    With(Error),
    Over,
}

/// What a consumer takes.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) update: Result<WatchUpdate>,
    /// Whether updates were turned away meanwhile and can come now.
    pub(super) drained: bool,
}

impl Outlet {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Sets where the watch begins.
    pub(super) fn begin(&self, from: Revision, cluster: Option<ClusterId>) {
        let mut state = lock(&self.state);
        (state.accepted, state.taken, state.cluster) = (Some(from), Some(from), cluster);
        state.wake();
    }

    /// Where the servers are to go on, for a watch that is waiting for more.
    pub(super) fn wants(&self) -> Option<Revision> {
        let state = lock(&self.state);
        state.accepted.filter(|_| !state.overflown && state.is_open())
    }

    /// Fails if what comes now is of another cluster than what came before.
    pub(super) fn check_cluster(&self, answered: ClusterId) -> Result<()> {
        let expected = *lock(&self.state).cluster.get_or_insert(answered);
        if expected == answered {
            return Ok(());
        }
        let message = format!(
            "the watch began in cluster {expected} and can't go on in {answered}; its revisions differ"
        );
        Err(Error::new(ErrorKind::Config, message))
    }

    /// Keeps an update for the consumer. `false` if there is no room: the watch is then to be given up until
    /// the consumer has drained what is there.
    pub(super) fn offer(&self, update: WatchUpdate) -> bool {
        let mut state = lock(&self.state);
        let bytes = update.bytes();
        if state.is_full(bytes, self.limits) {
            state.overflown = true;
            return false;
        }
        state.accepted = Some(update.next());
        state.push(update, bytes);
        state.wake();
        true
    }

    /// Ends the watch, after what is in the queue.
    pub(super) fn fail(&self, error: Error) {
        let mut state = lock(&self.state);
        if state.is_open() {
            state.end = End::With(error);
            state.wake();
        }
    }

    /// Ends the watch at once: there is no consumer any more.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.end = End::Over;
        state.queue = VecDeque::new();
    }

    /// How many updates are in the queue, and their bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.queue.len(), state.bytes)
    }

    pub(super) fn is_open(&self) -> bool {
        lock(&self.state).is_open()
    }

    /// Where a consumer goes on who has done with what it took; `None` until the watch has begun.
    pub(super) fn taken(&self) -> Option<Revision> {
        lock(&self.state).taken
    }

    /// Where the watch began, once it has, or why it could not.
    pub(super) fn poll_begun(&self, cx: &mut Context<'_>) -> Poll<Result<Revision>> {
        let mut state = lock(&self.state);
        if let Some(from) = state.taken {
            return Poll::Ready(Ok(from));
        }
        match state.poll_end(cx) {
            Poll::Ready(Some(error)) => Poll::Ready(Err(error)),
            Poll::Ready(None) => Poll::Ready(Err(Error::new(ErrorKind::Config, "the watch is over"))),
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Taken>> {
        let mut state = lock(&self.state);
        let Some(update) = state.pop() else {
            return state.poll_end(cx).map(|error| Some(Taken { update: Err(error?), drained: false }));
        };
        let drained = state.queue.is_empty() && std::mem::take(&mut state.overflown);
        Poll::Ready(Some(Taken { update: Ok(update), drained }))
    }
}

impl State {
    fn is_open(&self) -> bool {
        matches!(self.end, End::NotYet)
    }

    fn is_full(&self, more: usize, limits: Limits) -> bool {
        let held = !self.queue.is_empty();
        held && (self.queue.len() >= limits.revisions || self.bytes.saturating_add(more) > limits.bytes)
    }

    /// Progress makes older progress worthless: an idle watch that nobody reads does not grow.
    fn push(&mut self, update: WatchUpdate, bytes: usize) {
        match (self.queue.back_mut(), &update) {
            (Some(last @ WatchUpdate::Progress(_)), WatchUpdate::Progress(_)) => *last = update,
            _ => self.queue.push_back(update),
        }
        self.bytes += bytes;
    }

    fn pop(&mut self) -> Option<WatchUpdate> {
        let update = self.queue.pop_front()?;
        self.bytes -= update.bytes();
        self.taken = Some(update.next());
        Some(update)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Error>> {
        match std::mem::replace(&mut self.end, End::Over) {
            End::With(error) => Poll::Ready(Some(error)),
            End::Over => Poll::Ready(None),
            End::NotYet => {
                self.end = End::NotYet;
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
