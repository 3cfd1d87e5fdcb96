use std::collections::VecDeque;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{Error, ErrorKind, Result};

/// Work on other threads, whose results come in the order in which it was begun. Dropped, what is under way ends
/// for nothing.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    jobs: VecDeque<JoinHandle<T>>,
    most: usize,
}

impl<T: Send + 'static> InOrder<T> {
    /// Of so many jobs at once.
    pub(super) fn of(most: usize) -> Self {
        Self { jobs: VecDeque::new(), most }
    }

    /// Whether another job should wait for a result to be taken.
    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= self.most
    }

    pub(super) fn begin(&mut self, job: impl FnOnce() -> T + Send + 'static) {
        self.jobs.push_back(spawn_blocking(job));
    }

    /// As [`InOrder::begin`], and gives back the oldest result if there are too many jobs with this one.
    pub(super) async fn push(&mut self, job: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>> {
        let full = self.is_full();
        self.begin(job);
        if full { self.next().await } else { Ok(None) }
    }

    /// The oldest result; `None` if all are taken.
    pub(super) async fn next(&mut self) -> Result<Option<T>> {
        let Some(oldest) = self.jobs.pop_front() else { return Ok(None) };
        let done = oldest.await;
        done.map(Some)
            .map_err(|error| Error::new(ErrorKind::Io, "work on a block was cut off").with_source(error))
    }
}
