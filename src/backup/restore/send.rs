//! Batches on their way: cut on one side, under way several at once on the other.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::batch::{Batcher, Change};
use super::feed::Feed;
use super::pace::Pace;
use super::write::{BatchWriter, Written};
use crate::backup::progress::Tracker;
use crate::error::{Error, Result};

/// Batches that are cut while others are under way: the cluster must not wait for the archive to be read.
const CUT_AHEAD: usize = 8;

/// The writing of one restore: batches in flight, and what they came to.
pub(super) struct Sender<'a> {
    writer: &'a BatchWriter,
    pace: Pace,
    /// The next batch, and how long it is held back.
    held: Option<(Instant, Vec<Change>)>,
    progress: Tracker,
    written: Written,
    total: u64,
    /// Whether a batch that failed may be written all the same.
    ambiguous: bool,
}

/// Batches under way: what becomes of them, and how long that takes.
type InFlight<'a> = FuturesUnordered<BoxFuture<'a, (Result<Written>, Duration)>>;

impl<'a> Sender<'a> {
    pub(super) fn new(writer: &'a BatchWriter, pace: Pace, progress: Tracker, total: u64) -> Self {
        Self { writer, pace, held: None, progress, written: Written::default(), total, ambiguous: false }
    }

    /// What all batches came to.
    pub(super) fn into_written(self) -> Written {
        self.written
    }

    /// Writes all changes.
    pub(super) async fn send(&mut self, feed: Feed<'_>) -> Result<()> {
        let (batches, cut) = mpsc::channel(CUT_AHEAD);
        let (fed, sent) = tokio::join!(cut_batches(feed, self.writer, batches), self.send_all(cut));
        sent.and(fed).map_err(|error| self.stopped(error))
    }

    async fn send_all(&mut self, mut cut: mpsc::Receiver<Vec<Change>>) -> Result<()> {
        let mut in_flight = InFlight::new();
        let sent = self.keep_sending(&mut in_flight, &mut cut).await;
        // Who cuts batches must not wait for somebody to take them.
        drop(cut);
        // What is under way is awaited even after a failure, so that the count is true.
        let drained = self.drain(&mut in_flight).await;
        sent.and(drained)
    }

    async fn keep_sending(
        &mut self,
        in_flight: &mut InFlight<'a>,
        cut: &mut mpsc::Receiver<Vec<Change>>,
    ) -> Result<()> {
        loop {
            tokio::select! {
                Some(outcome) = in_flight.next() => self.settle(outcome)?,
                batch = self.next_due(cut), if in_flight.len() < self.pace.window() => match batch {
                    Some(batch) => in_flight.push(timed(self.writer.write(batch)).boxed()),
                    None => return Ok(()),
                },
            }
        }
    }

    /// The next batch, once the pace allows it. Cancel-safe: a batch that is held back is not lost, so that those
    /// under way can be looked after meanwhile.
    async fn next_due(&mut self, cut: &mut mpsc::Receiver<Vec<Change>>) -> Option<Vec<Change>> {
        if self.held.is_none() {
            let batch = cut.recv().await?;
            let now = Instant::now();
            self.held = Some((now + self.pace.wait(batch.len(), now), batch));
        }
        let due = self.held.as_ref()?.0;
        // Not even a timer that has run out is free: it may wait for the next millisecond.
        if due > Instant::now() {
            sleep_until(due.into()).await;
        }
        self.held.take().map(|(_, batch)| batch)
    }

    /// Awaits everything; the first failure counts.
    async fn drain(&mut self, in_flight: &mut InFlight<'a>) -> Result<()> {
        let mut outcome = Ok(());
        while let Some(written) = in_flight.next().await {
            outcome = outcome.and(self.settle(written));
        }
        outcome
    }

    fn settle(&mut self, (outcome, elapsed): (Result<Written>, Duration)) -> Result<()> {
        self.pace.took(elapsed);
        let written = outcome.inspect_err(|error| self.ambiguous |= error.may_have_applied())?;
        self.progress.add(written.puts + written.deleted + written.left, written.bytes);
        self.written.add(written);
        Ok(())
    }

    /// The error, told with how far it came.
    pub(super) fn stopped(&self, error: Error) -> Error {
        let (done, total) = (self.written.puts + self.written.deleted, self.total);
        let stopped = format!("stopped after {done} of {total} keys were written");
        error.context(stopped).maybe_applied(self.ambiguous)
    }
}

/// Cuts changes into batches for as long as somebody takes them.
async fn cut_batches(
    mut feed: Feed<'_>,
    writer: &BatchWriter,
    batches: mpsc::Sender<Vec<Change>>,
) -> Result<()> {
    let mut batcher = Batcher::default();
    while let Some(change) = feed.next().await? {
        if let Some(batch) = batcher.push(change, writer.limits())
            && batches.send(batch).await.is_err()
        {
            return Ok(());
        }
    }
    if let Some(last) = batcher.take() {
        // Nobody takes it after a failure, which is told there.
        let _ = batches.send(last).await;
    }
    Ok(())
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}
