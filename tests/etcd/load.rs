//! Many callers at once, and what they went through.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use etcd_ark::{Client, Error};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::clock;

pub(crate) const CALLERS: usize = 64;
/// A call that takes no longer met no fault: a member is given up after 300 ms of silence and a probe of
/// 500 ms. Tests of their own keep the machine busy, too.
pub(crate) const FAST: Duration = Duration::from_millis(500);

/// What the callers of one kind went through.
pub(crate) struct Outcome {
    callers: Vec<Vec<Call>>,
}

/// A call that is over. Its times are those of [`clock`].
pub(crate) struct Call {
    ended: Duration,
    took: Duration,
    error: Option<Error>,
}

impl Outcome {
    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.callers.iter().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.calls().count()
    }

    pub(crate) fn errors(&self) -> impl Iterator<Item = &Error> {
        self.calls().filter_map(|call| call.error.as_ref())
    }

    pub(crate) fn slowest(&self) -> Duration {
        self.calls().map(|call| call.took).max().unwrap_or_default()
    }

    /// The calls that began after this.
    pub(crate) fn since(self, since: Duration) -> Self {
        let began_since = |call: &Call| call.ended - call.took > since;
        let callers = self.callers.into_iter();
        Self { callers: callers.map(|calls| calls.into_iter().filter(began_since).collect()).collect() }
    }

    /// How many calls took longer than this, or failed, for the caller that had the most of them.
    pub(crate) fn most_slower_than(&self, limit: Duration) -> usize {
        let slow = |call: &&Call| call.took > limit || call.error.is_some();
        self.callers.iter().map(|calls| calls.iter().filter(slow).count()).max().unwrap_or_default()
    }

    /// How long the calls took that fast ones are `percent` of.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut took: Vec<_> = self.calls().map(|call| call.took).collect();
        took.sort();
        took.get(took.len() * percent / 100).copied().unwrap_or_default()
    }

    pub(crate) fn assert_no_errors(&self) {
        let first = self.errors().next();
        assert!(first.is_none(), "{} of {}: {first:?}", self.errors().count(), self.len());
    }

    /// A write may fail only by saying that nobody knows whether it was carried out.
    pub(crate) fn assert_only_ambiguous(&self) {
        let untrue = self.errors().find(|error| !error.may_have_applied());
        assert!(untrue.is_none(), "{untrue:?}");
    }

    /// As [`Outcome::assert_only_ambiguous`], and about one per caller and fault.
    pub(crate) fn assert_few_and_only_ambiguous(&self, faults: usize) {
        self.assert_only_ambiguous();
        let errors = self.errors().count();
        assert!(errors <= CALLERS * faults, "{errors} of {} writes failed", self.len());
    }

    /// The calls that began after this met no fault.
    pub(crate) fn assert_fast_since(self, since: Duration) {
        let calls = self.since(since);
        assert!(calls.len() > CALLERS, "{calls}");
        calls.assert_fast();
    }

    /// One of them in ten may be slow: the members share a disk that may stand still.
    fn assert_fast(&self) {
        self.assert_no_errors();
        assert!(self.percentile(90) < FAST, "{self}");
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calls, errors) = (self.len(), self.errors().count());
        let [p50, p90, p99] = [50, 90, 99].map(|percent| self.percentile(percent));
        let slowest = self.slowest();
        write!(
            f,
            "{calls} calls, {errors} errors, p50 {p50:.1?}, p90 {p90:.1?}, p99 {p99:.1?}, slowest {slowest:.1?}"
        )
    }
}

/// Callers that read and callers that write, until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    readers: JoinSet<Vec<Call>>,
    writers: JoinSet<Vec<Call>>,
}

impl Load {
    pub(crate) fn start(client: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
        for number in 0..CALLERS {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            if number % 2 == 0 {
                readers.spawn(call_until(stop, async move || client.get("key").await.map(drop)));
            } else {
                writers.spawn(call_until(stop, async move || client.put("key", "value").await.map(drop)));
            }
        }
        Self { stop, readers, writers }
    }

    /// What the readers and the writers went through.
    pub(crate) async fn stop(self) -> (Outcome, Outcome) {
        self.stop.store(true, Ordering::Relaxed);
        let (reads, writes) = tokio::join!(self.readers.join_all(), self.writers.join_all());
        (Outcome { callers: reads }, Outcome { callers: writes })
    }
}

/// Callers that come now meet no fault. Those that write and came before may still wait for an answer that was lost.
pub(crate) async fn assert_serves(client: &Client) {
    let load = Load::start(client);
    clock::pass(Duration::from_secs(2)).await;
    let (reads, writes) = load.stop().await;
    reads.assert_fast();
    writes.assert_fast();
}

async fn call_until(stop: Arc<AtomicBool>, call: impl AsyncFn() -> Result<(), Error>) -> Vec<Call> {
    let mut calls = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = clock::now();
        let error = call().await.err();
        let ended = clock::now();
        calls.push(Call { ended, took: ended - began, error });
        sleep(Duration::from_millis(2)).await;
    }
    calls
}
