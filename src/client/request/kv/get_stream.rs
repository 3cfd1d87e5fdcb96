use std::mem;
use std::time::Duration;

use bytes::Bytes;

use super::super::{WireCall, decode, header, malformed};
use super::{Get, stripped};
use crate::client::{Client, deadline_in};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Bulk, Call, Endpoint, Feed, RetryClass, Rpc, Target, Token, Windows};
use crate::pb::etcdserverpb::{RangeResponse, RangeStreamResponse};
use crate::types::{Header, KeyValue, Namespace};

const RANGE_STREAM: Rpc = Rpc::new("/etcdserverpb.KV/RangeStream");

/// How a stream of keys is opened.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) bulk: &'a Bulk,
    /// The members that are not to be asked.
    pub(crate) except: Vec<Endpoint>,
    /// A token that is not to be used again.
    pub(crate) refused: Option<&'a Token>,
    pub(crate) timeout: Duration,
}

impl Client {
    /// Reads a range as a stream, which etcd 3.7 and later can: the answer to a [`Get`] in parts, none of
    /// which has the server count what is left.
    ///
    /// This is the call as it is. [`Client::scan`] makes use of it where servers have it, goes on after a
    /// break, and reads from other servers by pages. A range that is read at the newest revision tells which
    /// that is only at its end: give one by [`Get::at`] so as to be able to go on elsewhere. The bytes come
    /// over a connection of their own.
    ///
    /// # Errors
    ///
    /// As [`Client::send`], within the client's request timeout for the first keys. [`ErrorKind::Config`]
    /// for orders other than by key and for bounds on revisions, [`ErrorKind::ServerTooOld`] before 3.7.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn get_stream(&self, get: Get) -> Result<GetStream> {
        let bulk = Bulk::new(Windows::BULK);
        let timeout = self.transport().request_timeout();
        let opening = Opening { bulk: &bulk, except: Vec::new(), refused: None, timeout };
        self.open_get_stream(&get, &opening).await
    }

    pub(crate) async fn open_get_stream(&self, get: &Get, opening: &Opening<'_>) -> Result<GetStream> {
        let namespace = self.current_namespace().clone();
        let wire = get.stream_call(&namespace)?;
        let call = Call {
            rpc: wire.rpc,
            class: wire.class,
            target: Target::AnyBut(opening.except.clone()),
            deadline: deadline_in(opening.timeout),
        };
        let feed = self.transport().feed(&call, wire.message.clone(), opening.bulk, opening.refused).await;
        let (feed, limits) = (feed.map_err(|error| wire.explain(error))?, get.limits());
        Ok(GetStream { feed, namespace, limits, received: 0, tail: None, ended: false })
    }
}

impl Get {
    fn stream_call(&self, namespace: &Namespace) -> Result<WireCall> {
        if !self.streams() {
            let message =
                "streams come by key, ascending, without bounds on revisions; send the request instead";
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(WireCall::new(RANGE_STREAM, RetryClass::Read, &self.message(namespace)?).since("3.7"))
    }
}

/// The keys of a range in parts. Made by [`Client::get_stream`].
#[derive(Debug)]
pub struct GetStream {
    feed: Feed,
    namespace: Namespace,
    limits: Limits,
    received: u64,
    tail: Option<GetTail>,
    ended: bool,
}

/// How many keys a [`Get`] can be answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// 0 is no limit.
    pub(super) keys: u64,
    pub(super) count_only: bool,
}

/// What a stream of keys tells at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetTail {
    /// Who answered, at which revision.
    pub header: Header,
    /// Whether the limit left keys out.
    pub more: bool,
    /// How many keys the range holds, whatever the limit.
    pub count: u64,
}

impl GetStream {
    /// The next keys, one at least; `None` after the last ones, once the server has told how many there
    /// were and that is how many have come.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the connection breaks or the member is not well,
    /// [`ErrorKind::Compacted`] if the revision is compacted meanwhile, [`ErrorKind::Protocol`] if keys
    /// are missing. What came before is a part of the answer then. There is nothing after an error.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; no key is lost.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<KeyValue>>> {
        while !self.ended {
            let answer = self.feed.next().await.inspect_err(|_| self.ended = true)?;
            let kvs = self.take(answer).inspect_err(|_| self.ended = true)?;
            if !kvs.is_empty() {
                return Ok(Some(kvs));
            }
        }
        Ok(None)
    }

    /// What the server told at the end; `None` until [`GetStream::next_chunk`] has given `None`.
    #[must_use]
    pub fn tail(&self) -> Option<GetTail> {
        self.tail.filter(|_| self.ended)
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.feed.token()
    }

    fn take(&mut self, answer: Option<Bytes>) -> Result<Vec<KeyValue>> {
        let Some(answer) = answer else {
            self.ended = true;
            return self.check().map(|()| Vec::new());
        };
        let RangeStreamResponse { range_response } = decode(answer)?;
        let mut chunk = range_response.ok_or_else(|| malformed("a part of the answer is empty"))?;
        let kvs = stripped(mem::take(&mut chunk.kvs), &self.namespace)?;
        self.received += kvs.len() as u64;
        if chunk.header.is_some() {
            self.tail = Some(GetTail::from_wire(chunk)?);
        }
        Ok(kvs)
    }

    /// Whether all has come that should have.
    fn check(&mut self) -> Result<()> {
        let tail = self.tail.ok_or_else(|| malformed("the stream ended without telling that it was all"))?;
        let expected = self.limits.of(tail.count);
        if self.received == expected && (tail.more == (expected < tail.count) || self.limits.count_only) {
            return Ok(());
        }
        self.tail = None;
        Err(malformed("the stream's keys are not as many as it says"))
    }
}

impl GetTail {
    fn from_wire(wire: RangeResponse) -> Result<Self> {
        let count = wire.count.try_into().unwrap_or_default();
        Ok(Self { header: header(wire.header)?, more: wire.more, count })
    }
}

impl Limits {
    fn of(self, count: u64) -> u64 {
        match self {
            Self { count_only: true, .. } => 0,
            Self { keys: 0, .. } => count,
            Self { keys, .. } => count.min(keys),
        }
    }
}
