use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, select};

use super::answers::Answers;
use super::auth::{Auth, Credentials};
use super::codec::Rpc;
use super::connection::Connection;
use super::dialer::Dialer;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::gave_up::GaveUp;
use super::retry::{Next, RetryClass, Trial};
use super::roster::{Roster, Seat};
use super::status::Remedy;
use super::token::Token;
use crate::error::{ErrorKind, Result};
use crate::util::{lock, random_fraction};

/// A remote call, apart from its message.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) rpc: Rpc,
    pub(crate) class: RetryClass,
    pub(crate) target: Target,
    pub(crate) deadline: Instant,
}

/// Who is to serve a call.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Whichever member the picker chooses.
    Any,
    /// This one and no other.
    Exactly(Arc<Connection>),
}

/// The way to the cluster: its members, the token, the time a call may take.
#[derive(Debug)]
pub(crate) struct Transport {
    roster: Mutex<Arc<Roster>>,
    auth: Auth,
    dialer: Arc<Dialer>,
    limits: Limits,
}

/// What a call may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A whole call, all attempts together, if its caller has no other wish.
    pub(crate) request_timeout: Duration,
    /// One message from the server.
    pub(crate) max_response_bytes: usize,
}

impl Transport {
    /// Fails if there are no endpoints, or for one that can't be dialled.
    pub(crate) fn new(
        endpoints: Vec<Endpoint>,
        dialer: Dialer,
        credentials: Option<Credentials>,
        limits: Limits,
    ) -> Result<Self> {
        let dialer = Arc::new(dialer);
        let roster = Mutex::new(Roster::of(endpoints, &[], &dialer, limits.max_response_bytes)?);
        Ok(Self { roster, auth: Auth::new(credentials), dialer, limits })
    }

    /// Spreads requests over these members from now on. Connections to endpoints that stay are kept;
    /// calls under way go on over the old ones.
    pub(crate) fn set_endpoints(&self, endpoints: Vec<Endpoint>) -> Result<()> {
        let roster = self.candidate(endpoints)?;
        *lock(&self.roster) = roster;
        Ok(())
    }

    /// As [`Transport::set_endpoints`], if at least one of the members is well.
    pub(crate) async fn set_endpoints_if_well(&self, endpoints: Vec<Endpoint>) -> Result<bool> {
        let roster = self.candidate(endpoints)?;
        let well = roster.has_well_member().await;
        if well {
            *lock(&self.roster) = roster;
        }
        Ok(well)
    }

    fn candidate(&self, endpoints: Vec<Endpoint>) -> Result<Arc<Roster>> {
        Roster::of(endpoints, self.roster().connections(), &self.dialer, self.limits.max_response_bytes)
    }

    /// Whether nothing goes over the wire unencrypted.
    pub(crate) fn encrypts_everything(&self) -> bool {
        self.roster().connections().iter().all(|connection| connection.is_encrypted())
    }

    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&lock(&self.roster))
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.limits.request_timeout
    }

    /// Sends a message and returns the answer's, trying again as the call's class allows.
    pub(crate) async fn unary(&self, call: &Call, message: Bytes) -> Result<Bytes> {
        let began = Instant::now();
        let outcome = self.authenticated(call, &message).await;
        outcome.map_err(|gave_up| gave_up.into_error(call.rpc, began))
    }

    async fn authenticated(&self, call: &Call, message: &Bytes) -> Result<Bytes, GaveUp> {
        let mut tokens = self.tokens(call.deadline).await?;
        loop {
            match self.run(call, message, tokens.current()).await {
                Err(refused) if tokens.may_help(&refused) => tokens.renew().await?,
                outcome => return outcome,
            }
        }
    }

    /// Opens a stream of answers from exactly one member. The call's deadline bounds the opening.
    pub(crate) async fn open(&self, connection: &Connection, call: &Call, message: Bytes) -> Result<Answers> {
        let began = Instant::now();
        let outcome = self.open_authenticated(connection, call, message).await;
        outcome.map_err(|gave_up| gave_up.into_error(call.rpc, began))
    }

    async fn open_authenticated(
        &self,
        connection: &Connection,
        call: &Call,
        message: Bytes,
    ) -> Result<Answers, GaveUp> {
        let endpoint = connection.endpoint().to_string();
        let mut tokens = self.tokens(call.deadline).await?;
        loop {
            let opened = connection.open(call.rpc, message.clone(), tokens.current(), call.deadline).await;
            match opened.map_err(|failure| GaveUp::at(&endpoint, failure)) {
                Ok(stream) => return Ok(Answers::new(stream, call.rpc, endpoint)),
                Err(refused) if tokens.may_help(&refused) => tokens.renew().await?,
                Err(gave_up) => return Err(gave_up),
            }
        }
    }

    /// All attempts of a call with one token.
    pub(super) async fn run(
        &self,
        call: &Call,
        message: &Bytes,
        token: Option<&Token>,
    ) -> Result<Bytes, GaveUp> {
        let roster = self.roster();
        let mut trial = Trial::new(call.class, candidates(&call.target, &roster), call.deadline);
        loop {
            let seat = match &call.target {
                Target::Any => roster.seat(trial.tried()),
                Target::Exactly(connection) => Seat::reserved(connection),
            };
            trial.begin(seat.number());
            let failure = match attempt(&seat, call, message.clone(), token, trial.may_leave()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if shows_ill_health(&failure) {
                seat.eject();
            }
            match trial.failed(&failure, Instant::now(), random_fraction()) {
                Next::Elsewhere => {}
                Next::After(pause) => roster.pause(pause).await,
                Next::GiveUp => return Err(GaveUp::after(&trial, failure, seat.connection())),
            }
        }
    }
}

fn candidates(target: &Target, roster: &Roster) -> usize {
    match target {
        Target::Any => roster.connections().len(),
        Target::Exactly(_) => 1,
    }
}

/// One attempt. A member that stays silent is asked whether it is well. If it is not it is ejected,
/// and the attempt given up, if it `may_leave`, for a member that is: slow is not dead, but dead is not
/// waited for.
async fn attempt(
    seat: &Seat<'_>,
    call: &Call,
    message: Bytes,
    token: Option<&Token>,
    may_leave: bool,
) -> Result<Bytes, Failure> {
    let exchange = pin!(seat.connection().unary(call.rpc, message, token, call.deadline));
    match select(exchange, pin!(seat.until_unwell())).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(((), exchange)) => {
            seat.eject();
            if !may_leave {
                return exchange.await;
            }
            // Where nobody is well, such as far away or during an election, the request has come as far
            // here as it would get elsewhere.
            match select(exchange, pin!(seat.until_any_serves())).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => Err(Failure::TimedOut),
            }
        }
    }
}

/// An error that a member answers with is no sign of ill health, unless it is that it can't serve.
fn shows_ill_health(failure: &Failure) -> bool {
    failure.kind() == ErrorKind::Unavailable && failure.remedy() != Remedy::Final
}
