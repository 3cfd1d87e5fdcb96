//! Time in which this machine was at work. One that stands still for a second, as shared ones do, makes nothing slower
//! that is measured by it, and no wait shorter.

use std::future::Future;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(5);
/// A tick that took longer was held up: no more than this of it counts.
const LONGEST: Duration = Duration::from_millis(50);

static TICKING: Once = Once::new();
static NANOSECONDS: AtomicU64 = AtomicU64::new(0);

/// How much has passed on this clock since it was first asked; to 5 ms.
pub fn now() -> Duration {
    TICKING.call_once(|| drop(thread::spawn(tick)));
    Duration::from_nanos(NANOSECONDS.load(Ordering::Relaxed))
}

/// Waits until so much has passed on this clock.
pub async fn pass(time: Duration) {
    let end = now() + time;
    while now() < end {
        tokio::time::sleep(TICK).await;
    }
}

/// What comes of it, unless so much passes on this clock before.
pub async fn within<T>(time: Duration, what: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = what => Some(done),
        () = pass(time) => None,
    }
}

fn tick() {
    let mut last = Instant::now();
    loop {
        thread::sleep(TICK);
        let now = Instant::now();
        let took = now.duration_since(last).min(LONGEST);
        let nanoseconds = u64::try_from(took.as_nanos()).expect("at most 50 ms");
        NANOSECONDS.fetch_add(nanoseconds, Ordering::Relaxed);
        last = now;
    }
}
