use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::outlet::{Limits, Outlet};
use super::request::Wish;
use crate::error::ErrorKind;

/// How many tokens in a row a watch may be refused with.
const MAX_TOKENS: u32 = 3;

/// A watch as its consumer and its stream know it.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) wish: Wish,
    pub(super) outlet: Outlet,
    /// In a row, for the token.
    refusals: AtomicU32,
    lane: OnceLock<mpsc::UnboundedSender<Command>>,
}

/// What a lane is told.
#[derive(Debug)]
pub(super) enum Command {
    /// The watch is to begin.
    Join(Arc<Subscription>),
    /// The watch has no consumer any more.
    Leave(Arc<Subscription>),
    /// The watch had more than its consumer took, and can go on.
    Drained(Arc<Subscription>),
}

impl Subscription {
    pub(super) fn new(wish: Wish, limits: Limits) -> Self {
        Self { wish, outlet: Outlet::new(limits), refusals: AtomicU32::new(0), lane: OnceLock::new() }
    }

    /// Gives the watch to a lane, for good.
    pub(super) fn join(self: &Arc<Self>, lane: &mpsc::UnboundedSender<Command>) {
        // In this order: a consumer who leaves now is heard, before or after the watch has joined.
        let _ = self.lane.set(lane.clone());
        self.tell(Command::Join(Arc::clone(self)));
    }

    pub(super) fn was_created(&self) {
        self.refusals.store(0, Ordering::Relaxed);
    }

    /// Notes a refusal for the token. Whether another token may help: one that was had after that can be
    /// believed if it lacks the permission.
    pub(super) fn may_try_another_token(&self, refusal: ErrorKind) -> bool {
        let before = self.refusals.fetch_add(1, Ordering::Relaxed);
        before < if refusal == ErrorKind::PermissionDenied { 1 } else { MAX_TOKENS }
    }

    pub(super) fn drained(self: &Arc<Self>) {
        self.tell(Command::Drained(Arc::clone(self)));
    }

    /// Ends the watch for want of a consumer.
    pub(super) fn leave(self: &Arc<Self>) {
        self.outlet.close();
        self.tell(Command::Leave(Arc::clone(self)));
    }

    /// A lane that has ended needs to know nothing.
    fn tell(&self, command: Command) {
        if let Some(lane) = self.lane.get() {
            let _ = lane.send(command);
        }
    }
}
