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
use super::messages::Messages;
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

/// A stream of encoded answers from a member of the picker's choice, which is left when it is not well.
pub(crate) struct Feed {
    answers: Messages,
    opened: Opened,
    at: Instant,
    /// When the member last showed that it is well.
    heard: Heard,
    /// Ends when the member is to be left. Kept, so that who drops [`Feed::next`] again and again does not
    /// interrupt the asking each time.
    left: BoxFuture<'static, ()>,
}

type Heard = Arc<Mutex<Instant>>;

/// How a stream was opened, and with whom.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) rpc: Rpc,
    pub(super) roster: Arc<Roster>,
    pub(super) member: usize,
    pub(super) token: Option<Token>,
}

impl Feed {
    pub(super) fn new(answers: Messages, opened: Opened) -> Self {
        let at = Instant::now();
        let heard = Heard::new(Mutex::new(at));
        let left = until_left(Arc::clone(&opened.roster), opened.member, Arc::clone(&heard)).boxed();
        Self { answers, opened, at, heard, left }
    }

    /// Who serves the stream.
    pub(crate) fn member(&self) -> &Arc<Connection> {
        &self.opened.roster.connections()[self.opened.member]
    }

    /// The token that the stream was opened with: it stays the stream's for as long as that lives.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.opened.token.as_ref()
    }

    /// Forgives the silence so far: nobody asked for anything, or nobody listened.
    pub(crate) fn forgive_silence(&self) {
        *lock(&self.heard) = Instant::now();
    }

    /// The next answer; `None` if the server ended the stream well.
    ///
    /// Fails when the stream breaks, and when its member is not well and another can take over: a stream
    /// opened anew then goes elsewhere. Not to be called again then. May be dropped at any time; no answer is
    /// lost by that.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Opened { rpc, roster, member, .. } = &self.opened;
        let outcome = tokio::select! {
            answer = self.answers.message() => answer,
            () = &mut self.left => Err(Failure::TimedOut),
        };
        if outcome.as_ref().is_err_and(Failure::shows_ill_health) {
            roster.eject(*member);
        }
        *lock(&self.heard) = Instant::now();
        outcome.map_err(|failure| {
            let endpoint = roster.connections()[*member].endpoint().to_string();
            GaveUp::at(endpoint, failure).into_error(*rpc, self.at)
        })
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed({} at {:?})", self.opened.rpc.name(), self.member())
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
