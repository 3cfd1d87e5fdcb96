//! The two halves of an exchange: messages to a member, and messages from it.

use std::sync::Mutex;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, StatusCode};

use super::code;
use super::failure::Failure;
use super::frame::{Assembler, Framed, framed};
use super::link::{Link, Started};
use crate::util::lock;

/// Our half: what is sent to the member.
#[derive(Debug)]
pub(super) struct Requests(Mutex<SendStream<Framed>>);

impl Requests {
    /// Queues a message. Fails on a stream that has ended.
    pub(super) fn send(&self, message: Bytes) -> Result<(), h2::Error> {
        lock(&self.0).send_data(framed(message), false)
    }
}

/// The member's half: its answers.
#[derive(Debug)]
pub(super) struct Messages {
    body: RecvStream,
    assembler: Assembler,
    ended: bool,
    link: Link,
}

impl Link {
    /// Sends a request of one message. What fails before the message is on its way was not sent.
    pub(super) async fn request(
        &self,
        head: Request<()>,
        message: Bytes,
        max_bytes: usize,
    ) -> Result<Messages, Failure> {
        let mut started = self.start(head).await?;
        // Fails if the stream has ended already: then the answer says why.
        let _ = started.requests.send_data(framed(message), true);
        let (_, messages) = self.answered(started, max_bytes).await?;
        Ok(messages)
    }

    /// As [`Link::request`], with more messages to follow.
    pub(super) async fn duplex(
        &self,
        head: Request<()>,
        first: Bytes,
        max_bytes: usize,
    ) -> Result<(Requests, Messages), Failure> {
        let mut started = self.start(head).await?;
        let _ = started.requests.send_data(framed(first), false);
        let (requests, messages) = self.answered(started, max_bytes).await?;
        Ok((Requests(Mutex::new(requests)), messages))
    }

    /// Waits for the head of the answer.
    async fn answered(
        &self,
        started: Started,
        max_bytes: usize,
    ) -> Result<(SendStream<Framed>, Messages), Failure> {
        let Started { requests, response } = started;
        let response = match self.hear(response).await {
            Ok(response) => response,
            Err(error) => return Err(self.failed(&error).await),
        };
        self.has_answered();
        let (head, body) = response.into_parts();
        let ended = ends_with(&head.headers, head.status)?;
        let assembler = Assembler::new(max_bytes);
        Ok((requests, Messages { body, assembler, ended, link: self.clone() }))
    }
}

/// Whether an answer has no more than its head.
fn ends_with(fields: &HeaderMap, status: StatusCode) -> Result<bool, Failure> {
    match code::outcome(fields) {
        Some(outcome) => outcome.map(|()| true),
        None if status == StatusCode::OK => Ok(false),
        None => Err(code::not_grpc(status)),
    }
}

impl Messages {
    /// The next message; `None` once the server has ended the stream well. May be dropped at any time;
    /// no message is lost by that.
    pub(super) async fn message(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(message) = self.assembler.pop()? {
                return Ok(Some(message));
            }
            if self.ended {
                return Ok(None);
            }
            match self.link.hear(self.body.data()).await {
                Some(Ok(chunk)) => self.take(&chunk),
                Some(Err(error)) => return Err(self.link.failed(&error).await),
                None => self.end().await?,
            }
        }
    }

    /// The only message of an answer that has one.
    pub(super) async fn only(mut self) -> Result<Bytes, Failure> {
        let Some(message) = self.message().await? else {
            return Err(Failure::Malformed("there is none".into()));
        };
        match self.message().await? {
            None => Ok(message),
            Some(_) => Err(Failure::Malformed("there is more than one".into())),
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.assembler.push(chunk);
        // Fails for a stream that is gone, which reading it tells.
        let _ = self.body.flow_control().release_capacity(chunk.len());
    }

    /// Takes the trailers, without which an answer is not complete.
    async fn end(&mut self) -> Result<(), Failure> {
        let trailers = match self.link.hear(self.body.trailers()).await {
            Ok(trailers) => trailers.unwrap_or_default(),
            Err(error) => return Err(self.link.failed(&error).await),
        };
        let Some(outcome) = code::outcome(&trailers) else {
            return Err(Failure::Lost("the answer broke off".into()));
        };
        outcome?;
        if self.assembler.holds_part() {
            return Err(Failure::Malformed("it ends in the middle of a message".into()));
        }
        self.ended = true;
        Ok(())
    }
}
