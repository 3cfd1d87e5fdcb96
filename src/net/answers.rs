use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;

use super::failure::Failure;
use super::gave_up::GaveUp;
use super::messages::Messages;
use super::rpc::Rpc;
use crate::error::Result;

/// A stream of encoded answers from one member.
#[derive(Debug)]
pub(crate) struct Answers {
    stream: Messages,
    rpc: Rpc,
    endpoint: String,
    began: Instant,
}

impl Answers {
    pub(super) fn new(stream: Messages, rpc: Rpc, endpoint: String) -> Self {
        Self { stream, rpc, endpoint, began: Instant::now() }
    }

    /// The next answer; `None` after the last one if the server ended the stream well.
    /// `stall` is the longest wait for it.
    pub(crate) async fn next(&mut self, stall: Duration) -> Result<Option<Bytes>> {
        let outcome = match timeout(stall, self.stream.message()).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut),
        };
        outcome.map_err(|failure| GaveUp::at(&self.endpoint, failure).into_error(self.rpc, self.began))
    }
}
