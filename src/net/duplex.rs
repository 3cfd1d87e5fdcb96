use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::feed::{Feed, Opened};
use super::messages::{Messages, Requests};
use super::token::Token;
use crate::error::Result;

/// A stream both ways with one member: encoded requests to it, encoded answers from it.
#[derive(Debug)]
pub(crate) struct Duplex {
    requests: Requests,
    feed: Feed,
}

/// Our ends of the two directions.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) requests: Requests,
    pub(super) answers: Messages,
}

impl Duplex {
    pub(super) fn new(ends: Ends, opened: Opened) -> Self {
        Self { requests: ends.requests, feed: Feed::new(ends.answers, opened) }
    }

    /// As [`Feed::token`].
    pub(crate) fn token(&self) -> Option<&Token> {
        self.feed.token()
    }

    /// As [`Feed::member`].
    pub(crate) fn member(&self) -> &Arc<Connection> {
        self.feed.member()
    }

    /// Queues a request. On a stream that has ended it goes nowhere: [`Duplex::next`] tells of the end.
    pub(crate) fn send(&self, message: Bytes) {
        let _ = self.requests.send(message);
    }

    /// As [`Feed::forgive_silence`].
    pub(crate) fn forgive_silence(&self) {
        self.feed.forgive_silence();
    }

    /// As [`Feed::next`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        self.feed.next().await
    }
}
