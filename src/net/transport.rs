use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::answers::Answers;
use super::auth::{Auth, Credentials};
use super::budget::Budget;
use super::bulk::Bulk;
use super::causes::Causes;
use super::connection::Connection;
use super::dialer::Dialer;
use super::duplex::{Duplex, Ends};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::feed::{Feed, Opened};
use super::gave_up::GaveUp;
use super::messages::Messages;
use super::retry::{Next, RetryClass, Trial};
use super::roster::{Roster, Seat};
use super::rpc::Rpc;
use super::token::Token;
use crate::error::Result;
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
    /// As `Any`, but this one only if no other can.
    Elsewhere(Arc<Connection>),
    /// As `Any`, but never the members at these endpoints.
    AnyBut(Vec<Endpoint>),
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
    budget: Budget,
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
        Ok(Self { roster, auth: Auth::new(credentials), dialer, limits, budget: Budget::full() })
    }

    /// Spreads requests over these members from now on. Connections to endpoints that stay are kept;
    /// calls under way go on over the old ones, streams at members that are gone end.
    pub(crate) fn set_endpoints(&self, endpoints: Vec<Endpoint>) -> Result<()> {
        self.replace(self.candidate(endpoints)?);
        Ok(())
    }

    /// As [`Transport::set_endpoints`], if at least one of the members is well.
    pub(crate) async fn set_endpoints_if_well(&self, endpoints: Vec<Endpoint>) -> Result<bool> {
        let roster = self.candidate(endpoints)?;
        let well = roster.has_well_member().await;
        if well {
            self.replace(roster);
        }
        Ok(well)
    }

    fn candidate(&self, endpoints: Vec<Endpoint>) -> Result<Arc<Roster>> {
        Roster::of(endpoints, self.roster().connections(), &self.dialer, self.limits.max_response_bytes)
    }

    /// The same members stay as they are: what is known of them is not forgotten.
    fn replace(&self, candidate: Arc<Roster>) {
        let mut roster = lock(&self.roster);
        if !roster.has_members_of(&candidate) {
            mem::replace(&mut *roster, Arc::clone(&candidate)).succeeded_by(&candidate);
        }
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
        // Boxed: all that lies below would else be part of the caller's futures, and of their callers', until
        // rustc finds them too deep.
        let outcome = self.authenticated(call, &message).boxed().await;
        outcome.map_err(|gave_up| gave_up.into_error(call.rpc, began))
    }

    async fn authenticated(&self, call: &Call, message: &Bytes) -> Result<Bytes, GaveUp> {
        let mut tokens = self.tokens(None, call.deadline).await?;
        // Attempts before the one whose token was refused may have been carried out.
        let mut ambiguous = false;
        let outcome = loop {
            match self.run(call, message, tokens.current()).await {
                Err(refused) if tokens.may_help(&refused) => {
                    ambiguous |= refused.may_have_applied();
                    if let Err(gave_up) = tokens.renew().await {
                        break Err(gave_up);
                    }
                }
                outcome => break outcome,
            }
        };
        outcome.map_err(|gave_up| gave_up.maybe_applied(ambiguous))
    }

    /// Opens a stream both ways with a member of the picker's choice, which must see a leader for as long as
    /// the stream lives. `first` is the first request: servers answer nothing before it. A `refused` token is
    /// not used again. The call's deadline bounds the opening.
    pub(crate) async fn duplex(&self, call: &Call, first: Bytes, refused: Option<&Token>) -> Result<Duplex> {
        let (ends, opened) = self.opened(call, &Opening(first), refused).await?;
        Ok(Duplex::new(ends, opened))
    }

    /// Opens a stream of answers with a member of the picker's choice, over its connection in `bulk`. A
    /// `refused` token is not used again. The call's deadline bounds the opening.
    pub(crate) async fn feed(
        &self,
        call: &Call,
        message: Bytes,
        bulk: &Bulk,
        refused: Option<&Token>,
    ) -> Result<Feed> {
        let (answers, opened) = self.opened(call, &Asking(message, bulk), refused).boxed().await?;
        Ok(Feed::new(answers, opened))
    }

    async fn opened<E: Exchange>(
        &self,
        call: &Call,
        exchange: &E,
        refused: Option<&Token>,
    ) -> Result<(E::Answer, Opened)> {
        let began = Instant::now();
        let outcome = self.opened_authenticated(call, exchange, refused).await;
        outcome.map_err(|gave_up| gave_up.into_error(call.rpc, began))
    }

    async fn opened_authenticated<E: Exchange>(
        &self,
        call: &Call,
        exchange: &E,
        refused: Option<&Token>,
    ) -> Result<(E::Answer, Opened), GaveUp> {
        let mut tokens = self.tokens(refused, call.deadline).await?;
        loop {
            let roster = self.roster();
            match self.attempts(&roster, call, exchange, tokens.current()).await {
                Ok((answer, member)) => {
                    let token = tokens.current().cloned();
                    return Ok((answer, Opened { rpc: call.rpc, roster, member, token }));
                }
                Err(refused) if tokens.may_help(&refused) => tokens.renew().await?,
                Err(gave_up) => return Err(gave_up),
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
        let mut tokens = self.tokens(None, call.deadline).await?;
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
        let (answer, _) = self.attempts(&roster, call, &Unary(message), token).await?;
        Ok(answer)
    }

    /// What came of the attempt that went well, and the number of the member that it went to.
    async fn attempts<E: Exchange>(
        &self,
        roster: &Arc<Roster>,
        call: &Call,
        exchange: &E,
        token: Option<&Token>,
    ) -> Result<(E::Answer, usize), GaveUp> {
        let excluded = excluded(&call.target, roster);
        let mut trial = trial(call, roster, excluded.len());
        let mut causes = Causes::default();
        loop {
            let mut seat = match &call.target {
                Target::Any | Target::Elsewhere(_) => roster.seat(trial.tried()),
                Target::AnyBut(_) => roster.seat(&[&excluded, trial.tried()].concat()),
                Target::Exactly(connection) => Seat::reserved(connection),
            };
            trial.begin(seat.number());
            let exchange = exchange.with(seat.connection(), call, token);
            let failure = match attempt(&seat, exchange, trial.may_leave()).await {
                Ok(answer) => {
                    seat.answered();
                    self.budget.earn();
                    return Ok((answer, seat.number()));
                }
                Err(failure) => failure,
            };
            if failure.shows_ill_health() {
                seat.eject();
            }
            let endpoint = seat.connection().endpoint().to_string();
            match trial.failed(&failure, &self.budget, Instant::now(), random_fraction()) {
                Next::GiveUp => return Err(GaveUp::after(&trial, endpoint, failure, causes)),
                Next::Elsewhere => {}
                Next::After(pause) => roster.pause(pause).await,
            }
            causes.note(endpoint, failure);
        }
    }
}

/// What an attempt does with the member that it was given.
trait Exchange: Sync {
    type Answer: Send;

    fn with(
        &self,
        connection: &Connection,
        call: &Call,
        token: Option<&Token>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Sends a message and awaits the answer.
struct Unary<'a>(&'a Bytes);

impl Exchange for Unary<'_> {
    type Answer = Bytes;

    async fn with(
        &self,
        connection: &Connection,
        call: &Call,
        token: Option<&Token>,
    ) -> Result<Bytes, Failure> {
        connection.unary(call.rpc, self.0.clone(), token, call.deadline).await
    }
}

/// Opens a stream both ways with a first message.
struct Opening(Bytes);

impl Exchange for Opening {
    type Answer = Ends;

    async fn with(
        &self,
        connection: &Connection,
        call: &Call,
        token: Option<&Token>,
    ) -> Result<Ends, Failure> {
        connection.duplex(call.rpc, self.0.clone(), token, call.deadline).await
    }
}

/// Asks for a stream of answers, over a connection beside the member's own.
struct Asking<'a>(Bytes, &'a Bulk);

impl Exchange for Asking<'_> {
    type Answer = Messages;

    async fn with(
        &self,
        connection: &Connection,
        call: &Call,
        token: Option<&Token>,
    ) -> Result<Messages, Failure> {
        let Self(message, bulk) = self;
        bulk.beside(connection).open(call.rpc, message.clone(), token, call.deadline).await
    }
}

/// The numbers of the members that are not to be asked.
fn excluded(target: &Target, roster: &Roster) -> Vec<usize> {
    let Target::AnyBut(endpoints) = target else { return Vec::new() };
    let members = roster.connections().iter().enumerate();
    let excluded = members.filter(|(_, member)| endpoints.contains(member.endpoint()));
    excluded.map(|(number, _)| number).collect()
}

fn trial(call: &Call, roster: &Roster, excluded: usize) -> Trial {
    let members = match call.target {
        Target::Exactly(_) => 1,
        Target::Any | Target::Elsewhere(_) | Target::AnyBut(_) => roster.connections().len() - excluded,
    };
    let trial = Trial::new(call.class, members, call.deadline);
    match &call.target {
        Target::Elsewhere(avoided) if members > 1 => trial.avoiding(roster.number(avoided)),
        _ => trial,
    }
}

/// One attempt. A member that stays silent is asked whether it is well. If it is not it is ejected,
/// and the attempt given up, if it `may_leave`, for a member that is: slow is not dead, but dead is not
/// waited for.
async fn attempt<A>(
    seat: &Seat<'_>,
    exchange: impl Future<Output = Result<A, Failure>>,
    may_leave: bool,
) -> Result<A, Failure> {
    let exchange = pin!(exchange);
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
