//! What others notice: small reads over a connection of their own, while the keys are being read.

use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_ark::{Client, Get, KeyRange};
use tokio::sync::oneshot::{self, Receiver, Sender, error::TryRecvError};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::figures::Read;

/// Often enough for a hundred reads a second, seldom enough not to be noticed.
const PERIOD: Duration = Duration::from_millis(10);

/// Reads one key again and again, linearizably, until dropped.
#[derive(Debug)]
pub(super) struct Others {
    /// Nothing is ever sent: when it is dropped, the reads end.
    stop: Sender<()>,
    task: JoinHandle<Vec<Read>>,
}

impl Others {
    pub(super) fn start(client: Client, key: Bytes) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(read_on(client, key, stopped)) }
    }

    /// All reads, the one under way too: it may be the slowest.
    pub(super) async fn end(self) -> Vec<Read> {
        drop(self.stop);
        self.task.await.unwrap_or_default()
    }
}

async fn read_on(client: Client, key: Bytes, mut stopped: Receiver<()>) -> Vec<Read> {
    let mut reads = Vec::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stopped.try_recv() == Err(TryRecvError::Empty) {
        ticks.tick().await;
        let began = Instant::now();
        let failed = client.send(Get::new(KeyRange::key(key.clone())).keys_only()).await.is_err();
        reads.push(Read { time: began.elapsed(), failed });
    }
    reads
}
