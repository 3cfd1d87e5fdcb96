use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What goes on on a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    waiting: AtomicUsize,
    /// Whether anything has come since that was last asked.
    heard: AtomicBool,
}

impl Activity {
    /// Somebody waits for the peer, until the guard is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
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
}

/// Somebody waits for the peer.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Activity);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
