use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::time::sleep_until;

use super::failure::Failure;
use super::gave_up::GaveUp;
use super::messages::{Messages, Requests};
use super::roster::Roster;
use super::rpc::Rpc;
use super::token::Token;
use crate::error::Result;

/// How long a member may be silent on a stream before it is asked whether it is well. Longer than for
/// a request: nobody is owed an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A stream both ways with one member: encoded requests to it, encoded answers from it.
#[derive(Debug)]
pub(crate) struct Duplex {
    ends: Ends,
    rpc: Rpc,
    roster: Arc<Roster>,
    member: usize,
    token: Option<Token>,
    opened: Instant,
    /// When the member last showed that it is well.
    heard: Instant,
}

/// Our ends of the two directions.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) requests: Requests,
    pub(super) answers: Messages,
}

impl Duplex {
    pub(super) fn new(
        ends: Ends,
        rpc: Rpc,
        roster: Arc<Roster>,
        member: usize,
        token: Option<Token>,
    ) -> Self {
        let opened = Instant::now();
        Self { ends, rpc, roster, member, token, opened, heard: opened }
    }

    /// The token that the stream was opened with: it stays the stream's for as long as that lives.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Queues a request. On a stream that has ended it goes nowhere: [`Duplex::next`] tells of the end.
    pub(crate) fn send(&self, message: Bytes) {
        let _ = self.ends.requests.send(message);
    }

    /// The next answer; `None` if the server ended the stream well.
    ///
    /// Fails when the stream breaks, and when its member is not well and another can take over: a stream
    /// opened anew then goes elsewhere. May be dropped at any time; no answer is lost by that.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let outcome = self.answer_or_leave().await;
        if outcome.as_ref().is_err_and(Failure::shows_ill_health) {
            self.roster.eject(self.member);
        }
        outcome.map_err(|failure| {
            let endpoint = self.roster.connections()[self.member].endpoint().to_string();
            GaveUp::at(endpoint, failure).into_error(self.rpc, self.opened)
        })
    }

    async fn answer_or_leave(&mut self) -> Result<Option<Bytes>, Failure> {
        let answer = tokio::select! {
            answer = self.ends.answers.message() => answer?,
            () = until_left(&self.roster, self.member, &mut self.heard) => return Err(Failure::TimedOut),
        };
        self.heard = Instant::now();
        Ok(answer)
    }
}

/// Ends when the member is not well, by this stream's silence or by what others found, and a member can
/// take over.
async fn until_left(roster: &Arc<Roster>, member: usize, heard: &mut Instant) {
    loop {
        let silent = sleep_until((*heard + PATIENCE).into());
        match select(pin!(roster.until_ejected(member)), pin!(silent)).await {
            Either::Left(_) => return roster.until_any_serves().await,
            Either::Right(_) if roster.connections()[member].is_well().await => *heard = Instant::now(),
            Either::Right(_) => roster.eject(member),
        }
    }
}
