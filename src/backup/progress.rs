use std::fmt;
use std::sync::Arc;

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Keys done so far in this phase.
    pub keys: u64,
    /// Bytes of keys and values done so far in this phase.
    pub bytes: u64,
    /// How many keys there are to do in this phase, once that is known.
    pub total_keys: Option<u64>,
    /// How often the phase was begun anew before.
    pub restarts: u32,
}

/// A part of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Fetching a member's snapshot, to read keys out of it. Only bytes are counted.
    Fetching,
    /// Reading the cluster's keys into an archive.
    Reading,
    /// Reading an archive through and checking it.
    Verifying,
    /// Comparing an archive's keys with a cluster's, before or after they are written.
    Comparing,
    /// Writing an archive's keys into a cluster.
    Writing,
}

/// Who is told about progress: when a phase begins, and after every page, block or batch.
#[derive(Clone)]
pub(super) struct Observer(Arc<dyn Fn(Progress) + Send + Sync>);

impl Observer {
    pub(super) fn new(observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(super) fn begin(&self, phase: Phase, total_keys: Option<u64>) -> Tracker {
        self.track(Progress { phase, keys: 0, bytes: 0, total_keys, restarts: 0 })
    }

    /// Begins a phase that was begun so many times before.
    pub(super) fn begin_again(&self, phase: Phase, restarts: u32) -> Tracker {
        self.track(Progress { phase, keys: 0, bytes: 0, total_keys: None, restarts })
    }

    fn track(&self, so_far: Progress) -> Tracker {
        (self.0)(so_far);
        Tracker { observer: self.clone(), so_far }
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Counts one phase and tells the observer.
#[derive(Debug)]
pub(super) struct Tracker {
    observer: Observer,
    so_far: Progress,
}

impl Tracker {
    pub(super) fn expect(&mut self, total_keys: Option<u64>) {
        self.so_far.total_keys = total_keys;
    }

    pub(super) fn add(&mut self, keys: u64, bytes: u64) {
        self.so_far.keys += keys;
        self.so_far.bytes += bytes;
        (self.observer.0)(self.so_far);
    }
}
