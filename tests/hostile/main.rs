//! Archives that are meant to do harm: how much memory reading them takes, and that nothing wrong is accepted.
//!
//! One test at a time: memory is counted for the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "../support/draft.rs"]
#[allow(dead_code, reason = "the test of the Python reader uses more of it")]
mod draft;
#[path = "../support/frames.rs"]
#[allow(dead_code, reason = "the test of the Python reader uses more of it")]
mod frames;
#[path = "../reader/random.rs"]
#[allow(dead_code, reason = "the test of the Python reader uses more of it")]
mod random;

mod index;
mod memory;
mod mutations;
mod readers;

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Of this page the bounds are taken.
const PAGE: &str = include_str!("../../docs/format.md");

/// What the page says that this way of reading takes at most, in bytes.
fn bound(reader: &str) -> usize {
    let row = PAGE.lines().find_map(|line| line.strip_prefix(&format!("| {reader} | ")));
    let mebibytes = row.and_then(|row| row.split(' ').next()).expect("the page has a bound");
    mebibytes.parse::<usize>().unwrap() << 20
}

/// How many bytes more than before were allocated at any time.
async fn peak<T>(work: impl Future<Output = T>) -> (usize, T) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let outcome = work.await;
    (ALLOCATOR.peak_usage().saturating_sub(before), outcome)
}
