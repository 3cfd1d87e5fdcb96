use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{sleep, timeout_at};

use super::check::same_cluster;
use super::streamless::Streamless;
use crate::client::{Client, Get, GetStream, Opening, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Bulk, Token};
use crate::types::{ClusterId, KeyRange, KeyValue, Revision};

/// The pause after a stream that broke without having brought anything.
const PAUSE: Duration = Duration::from_millis(50);

/// What the segments of a scan have in common.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) client: Client,
    pub(super) streamless: Streamless,
    pub(super) bulk: Bulk,
    pub(super) revision: Revision,
    pub(super) cluster: ClusterId,
    pub(super) timeout: Duration,
}

impl Source {
    /// Opens a stream at a member that has streams and has reached the revision.
    async fn open(&self, range: KeyRange, refused: Option<&Token>, deadline: Instant) -> Result<GetStream> {
        let get = Get::new(range).at(self.revision).serializable();
        loop {
            let except = self.streamless.members(&self.client).ok_or_else(no_streams)?;
            let timeout = deadline.saturating_duration_since(Instant::now());
            let opening = Opening { bulk: &self.bulk, except, refused, timeout };
            match self.client.open_get_stream(&get, &opening).await {
                Err(error)
                    if error.kind() == ErrorKind::ServerTooOld
                        && self.streamless.note(&self.client, error.endpoint()) => {}
                outcome => return outcome,
            }
        }
    }
}

/// A part of the range that is read by a stream, and by another from where that breaks.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    source: Arc<Source>,
    /// etcd's `key` and `range_end` of what is still to come.
    start: Bytes,
    end: Bytes,
    stream: Option<GetStream>,
    /// The token of a stream that broke for it.
    refused: Option<Token>,
    /// Why the last stream broke, if nothing has come since.
    broke: Option<Error>,
}

impl Segment {
    pub(super) fn new(id: u64, range: &KeyRange, source: Arc<Source>) -> Self {
        let (start, end) = range.to_wire();
        Self { id, source, start, end, stream: None, refused: None, broke: None }
    }

    /// The next keys; `None` after the last ones.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<KeyValue>>> {
        let deadline = Instant::now() + self.source.timeout;
        loop {
            let Ok(outcome) = timeout_at(deadline.into(), self.attempt(deadline)).await else {
                return Err(self.nothing_came());
            };
            match outcome {
                Err(error) if may_go_on(&error) => self.leave(error).await,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&mut self, deadline: Instant) -> Result<Option<Vec<KeyValue>>> {
        if self.end[..] != *NO_END && self.start >= self.end {
            return Ok(None);
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let range = KeyRange::from_wire(self.start.clone(), self.end.clone());
                let opened = self.source.open(range, self.refused.as_ref(), deadline).await?;
                self.stream.insert(opened)
            }
        };
        let Some(kvs) = stream.next_chunk().await? else { return self.check().map(|()| None) };
        self.pass(&kvs)?;
        Ok(Some(kvs))
    }

    /// Goes behind these keys, which must follow those before.
    fn pass(&mut self, kvs: &[KeyValue]) -> Result<()> {
        let follows = kvs.first().is_some_and(|first| first.key >= self.start);
        let Some(last) = kvs.last().filter(|_| follows && kvs.is_sorted_by(|a, b| a.key < b.key)) else {
            return Err(malformed("the keys of a stream are not in order"));
        };
        self.start = [&last.key[..], b"\0"].concat().into();
        self.broke = None;
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let tail = self.stream.as_ref().and_then(GetStream::tail);
        let answered = tail.map_or(self.source.cluster, |tail| tail.header.cluster_id);
        same_cluster(self.source.cluster, answered)
    }

    async fn leave(&mut self, error: Error) {
        let stream = self.stream.take();
        let refused = stream.as_ref().and_then(GetStream::token).cloned();
        self.refused = refused.filter(|_| error.kind() == ErrorKind::Auth);
        self.broke = Some(error);
        sleep(PAUSE).await;
    }

    fn nothing_came(&mut self) -> Error {
        let told = format!("a stream of keys brought nothing within {:?}", self.source.timeout);
        match self.broke.take() {
            Some(error) => error.context(told),
            None => Error::new(ErrorKind::Deadline, told),
        }
    }
}

/// Whether the rest may be had from another stream.
fn may_go_on(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Auth
}

fn no_streams() -> Error {
    let message = "no member has streams of keys, which come with etcd 3.7; scan by pages";
    Error::new(ErrorKind::ServerTooOld, message)
}

/// etcd's spelling of the end of all keys.
const NO_END: &[u8] = b"\0";
