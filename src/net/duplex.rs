use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use tokio::time::sleep_until;

use super::connection::Connection;
use super::failure::Failure;
use super::gave_up::GaveUp;
use super::messages::{Messages, Requests};
use super::roster::Roster;
use super::rpc::Rpc;
use super::token::Token;
use crate::error::Result;
use crate::util::lock;

/// How long a member may be silent on a stream before it is asked whether it is well. Longer than for
/// a request: nobody is owed an answer. Doubled each time that it is: many clients wait at a cluster in which
/// nothing happens.
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_PATIENCE: Duration = Duration::from_secs(10);

/// A stream both ways with one member: encoded requests to it, encoded answers from it.
pub(crate) struct Duplex {
    ends: Ends,
    rpc: Rpc,
    roster: Arc<Roster>,
    member: usize,
    token: Option<Token>,
    opened: Instant,
    /// When the member last showed that it is well.
    heard: Heard,
    /// Ends when the member is to be left. Kept, so that who drops [`Duplex::next`] again and again does not
    /// interrupt the asking each time.
    left: BoxFuture<'static, ()>,
}

type Heard = Arc<Mutex<Instant>>;

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
        let heard = Heard::new(Mutex::new(opened));
        let left = until_left(Arc::clone(&roster), member, Arc::clone(&heard)).boxed();
        Self { ends, rpc, roster, member, token, opened, heard, left }
    }

    /// The token that the stream was opened with: it stays the stream's for as long as that lives.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Who serves the stream.
    pub(crate) fn member(&self) -> &Arc<Connection> {
        &self.roster.connections()[self.member]
    }

    /// Queues a request. On a stream that has ended it goes nowhere: [`Duplex::next`] tells of the end.
    pub(crate) fn send(&self, message: Bytes) {
        let _ = self.ends.requests.send(message);
    }

    /// Forgives the silence so far: nobody asked for anything, and nobody listened.
    pub(crate) fn forgive_silence(&self) {
        *lock(&self.heard) = Instant::now();
    }

    /// The next answer; `None` if the server ended the stream well.
    ///
    /// Fails when the stream breaks, and when its member is not well and another can take over: a stream
    /// opened anew then goes elsewhere. Not to be called again then. May be dropped at any time; no answer is
    /// lost by that.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let outcome = self.answer_or_leave().await;
        if outcome.as_ref().is_err_and(Failure::shows_ill_health) {
            self.roster.eject(self.member);
        }
        outcome.map_err(|failure| {
            let endpoint = self.member().endpoint().to_string();
            GaveUp::at(endpoint, failure).into_error(self.rpc, self.opened)
        })
    }

    async fn answer_or_leave(&mut self) -> Result<Option<Bytes>, Failure> {
        let answer = tokio::select! {
            answer = self.ends.answers.message() => answer?,
            () = &mut self.left => return Err(Failure::TimedOut),
        };
        *lock(&self.heard) = Instant::now();
        Ok(answer)
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duplex({} at {:?})", self.rpc.name(), self.member())
    }
}

/// Ends when the member is not well, by this stream's silence or by what others found, and a member can
/// take over.
async fn until_left(roster: Arc<Roster>, member: usize, heard: Heard) {
    let mut patience = PATIENCE;
    loop {
        let silent = sleep_until((*lock(&heard) + patience).into());
        match select(pin!(roster.until_ejected(member)), pin!(silent)).await {
            Either::Left(_) => return roster.until_any_serves().await,
            Either::Right(_) if lock(&heard).elapsed() < patience => patience = PATIENCE,
            Either::Right(_) if roster.connections()[member].is_well().await => {
                *lock(&heard) = Instant::now();
                patience = (patience * 2).min(LONGEST_PATIENCE);
            }
            Either::Right(_) => roster.eject(member),
        }
    }
}
