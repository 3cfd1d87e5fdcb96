use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// Shorter than what any request waits for.
const BEAT: Duration = Duration::from_millis(100);

/// What goes on on a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    waiting: AtomicUsize,
    /// Whether anyone has begun to wait since the last beat.
    fresh: AtomicBool,
    begun: Notify,
    /// Whether anything has come since that was last asked.
    heard: AtomicBool,
}

impl Activity {
    /// Somebody waits for the peer, until the guard is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if !self.fresh.swap(true, Ordering::Relaxed) {
            self.begun.notify_one();
        }
        Waiting(self)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Something came from the peer.
    pub(super) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether anything came since this was last asked.
    pub(super) fn was_heard(&self) -> bool {
        self.heard.swap(false, Ordering::Relaxed)
    }

    /// Keeps a short timer going while there is something to wait for.
    ///
    /// Each wait has timers of its own, and tokio wakes a thread for every timer that ends before all
    /// others: a large part of what a quick call costs. While a shorter timer runs, none of theirs is
    /// the first.
    pub(super) async fn beat(&self) -> Infallible {
        loop {
            self.begun.notified().await;
            self.fresh.store(false, Ordering::Relaxed);
            sleep(BEAT).await;
        }
    }
}

/// Somebody waits for the peer.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Activity);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
