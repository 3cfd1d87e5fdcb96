use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{sleep, timeout, timeout_at};
use tonic::client::Grpc;
use tonic::{Request, Streaming};

use super::auth::{Auth, Credentials, Token};
use super::codec::{RawCodec, Rpc};
use super::connection::Connection;
use super::failure::Failure;
use super::picker::Picker;
use super::retry::{Next, RetryClass, Trial};
use super::status::Remedy;
use crate::error::{CallContext, Error, ErrorKind, Result};
use crate::util::{lock, random_fraction, random_u64};

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

/// What a call may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A whole call, all attempts together.
    pub(crate) request_timeout: Duration,
    /// One message from the server.
    pub(crate) max_response_bytes: usize,
}

/// The way to the cluster: its connections, the picker over them, and the token.
#[derive(Debug)]
pub(crate) struct Transport {
    connections: Vec<Arc<Connection>>,
    picker: Mutex<Picker>,
    auth: Auth,
    limits: Limits,
}

impl Transport {
    /// `connections` is not empty.
    pub(crate) fn new(
        connections: Vec<Arc<Connection>>,
        credentials: Option<Credentials>,
        limits: Limits,
    ) -> Self {
        let first = usize::try_from(random_u64() >> 33).unwrap_or_default();
        let picker = Mutex::new(Picker::new(connections.len(), first));
        Self { connections, picker, auth: Auth::new(credentials), limits }
    }

    pub(crate) fn connections(&self) -> &[Arc<Connection>] {
        &self.connections
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Sends a message and returns the answer's, trying again as the call's class allows.
    pub(crate) async fn unary(&self, call: &Call, message: Bytes) -> Result<Bytes> {
        let began = Instant::now();
        self.authenticated(call, message).await.map_err(|gave_up| gave_up.into_error(call.rpc, began))
    }

    async fn authenticated(&self, call: &Call, message: Bytes) -> Result<Bytes, GaveUp> {
        let token = self.token(None, call.deadline).await?;
        match self.run(call, message.clone(), token.as_ref()).await {
            Err(refused) if token.is_some() && refused.wants_fresh_token() => {
                let fresh = self.token(token.as_ref(), call.deadline).await?;
                self.run(call, message, fresh.as_ref()).await
            }
            outcome => outcome,
        }
    }

    /// All attempts of a call with one token.
    pub(super) async fn run(
        &self,
        call: &Call,
        message: Bytes,
        token: Option<&Token>,
    ) -> Result<Bytes, GaveUp> {
        let candidates = match call.target {
            Target::Any => self.connections.len(),
            Target::Exactly(_) => 1,
        };
        let mut trial = Trial::new(call.class, candidates, call.deadline);
        loop {
            let (member, connection) = self.choose(&call.target, &trial);
            let allowed = trial.begin(member, Instant::now());
            let outcome = self.attempt(connection, call.rpc, message.clone(), token, allowed).await;
            self.learn(&call.target, member, outcome.as_ref().err());
            let failure = match outcome {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match trial.failed(&failure, Instant::now(), random_fraction()) {
                Next::Elsewhere => {}
                Next::After(pause) => sleep(pause).await,
                Next::GiveUp => return Err(GaveUp::new(failure, connection, &trial)),
            }
        }
    }

    fn choose<'a>(&'a self, target: &'a Target, trial: &Trial) -> (usize, &'a Arc<Connection>) {
        match target {
            Target::Exactly(connection) => (0, connection),
            Target::Any => {
                let picked = lock(&self.picker).pick(trial.tried(), Instant::now()).unwrap_or_default();
                (picked, &self.connections[picked])
            }
        }
    }

    /// Tells the picker how a member did. An error that the member answered with is no sign of ill
    /// health, unless it says that it cannot serve at all.
    fn learn(&self, target: &Target, member: usize, failure: Option<&Failure>) {
        if let Target::Exactly(_) = target {
            return;
        }
        let unwell = failure
            .is_some_and(|failure| matches!(failure.remedy(), Remedy::TryElsewhere | Remedy::Ambiguous));
        let mut picker = lock(&self.picker);
        if unwell { picker.failed(member, Instant::now()) } else { picker.succeeded(member) }
    }

    /// One attempt: dial if need be, send, await the whole answer, all within `allowed`.
    async fn attempt(
        &self,
        connection: &Connection,
        rpc: Rpc,
        message: Bytes,
        token: Option<&Token>,
        allowed: Duration,
    ) -> Result<Bytes, Failure> {
        let exchange = async {
            let mut grpc = self.grpc(connection).await?;
            let mut request = request(message, token);
            // The server stops working on what nobody waits for any more.
            request.set_timeout(allowed);
            let response = grpc.unary(request, rpc.path(), RawCodec).await?;
            Ok(response.into_inner())
        };
        timeout(allowed, exchange).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Whether the member answers at all; even an error is an answer.
    pub(crate) async fn probe(&self, connection: &Connection, rpc: Rpc) -> Result<(), Failure> {
        match self.attempt(connection, rpc, Bytes::new(), None, self.limits.request_timeout).await {
            Err(Failure::Server { .. }) | Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Opens a stream of answers from exactly one member. The call's deadline bounds the opening;
    /// the stream itself may take as long as it keeps moving.
    pub(crate) async fn open(
        &self,
        connection: &Arc<Connection>,
        call: &Call,
        message: Bytes,
    ) -> Result<Answers> {
        let began = Instant::now();
        self.open_authenticated(connection, call, message)
            .await
            .map(|stream| Answers {
                stream,
                rpc: call.rpc,
                endpoint: connection.endpoint().to_string(),
                began,
            })
            .map_err(|gave_up| gave_up.into_error(call.rpc, began))
    }

    async fn open_authenticated(
        &self,
        connection: &Connection,
        call: &Call,
        message: Bytes,
    ) -> Result<Streaming<Bytes>, GaveUp> {
        let token = self.token(None, call.deadline).await?;
        match self.open_once(connection, call, message.clone(), token.as_ref()).await {
            Err(refused) if token.is_some() && refused.wants_fresh_token() => {
                let fresh = self.token(token.as_ref(), call.deadline).await?;
                self.open_once(connection, call, message, fresh.as_ref()).await
            }
            outcome => outcome,
        }
    }

    async fn open_once(
        &self,
        connection: &Connection,
        call: &Call,
        message: Bytes,
        token: Option<&Token>,
    ) -> Result<Streaming<Bytes>, GaveUp> {
        let opening = async {
            let mut grpc = self.grpc(connection).await?;
            let response = grpc.server_streaming(request(message, token), call.rpc.path(), RawCodec).await?;
            Ok(response.into_inner())
        };
        let outcome = timeout_at(call.deadline.into(), opening).await.unwrap_or(Err(Failure::TimedOut));
        outcome.map_err(|failure| GaveUp {
            failure,
            endpoint: Some(connection.endpoint().to_string()),
            attempts: 1,
            may_have_applied: false,
        })
    }

    async fn grpc(&self, connection: &Connection) -> Result<Grpc<super::connection::Link>, Failure> {
        let link = connection.link().await?;
        Ok(Grpc::new(link).max_decoding_message_size(self.limits.max_response_bytes))
    }
}

fn request(message: Bytes, token: Option<&Token>) -> Request<Bytes> {
    let mut request = Request::new(message);
    // An empty token would be an invalid one: without one the header stays away.
    if let Some(value) = token.and_then(Token::value) {
        request.metadata_mut().insert("token", value.clone());
    }
    request
}

/// A stream of encoded answers from one member.
#[derive(Debug)]
pub(crate) struct Answers {
    stream: Streaming<Bytes>,
    rpc: Rpc,
    endpoint: String,
    began: Instant,
}

impl Answers {
    /// The next answer; `None` after the last one if the server ended the stream well.
    /// `stall` is the longest wait for it.
    pub(crate) async fn next(&mut self, stall: Duration) -> Result<Option<Bytes>> {
        let outcome = match timeout(stall, self.stream.message()).await {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => Err(Failure::TimedOut),
        };
        outcome.map_err(|failure| {
            let endpoint = Some(self.endpoint.clone());
            let gave_up = GaveUp { failure, endpoint, attempts: 1, may_have_applied: false };
            gave_up.into_error(self.rpc, self.began)
        })
    }
}

/// A call's last failure and how far it got.
#[derive(Debug)]
pub(crate) struct GaveUp {
    pub(super) failure: Failure,
    endpoint: Option<String>,
    attempts: u32,
    may_have_applied: bool,
}

impl GaveUp {
    fn new(failure: Failure, connection: &Connection, trial: &Trial) -> Self {
        Self {
            failure,
            endpoint: Some(connection.endpoint().to_string()),
            attempts: trial.attempts(),
            may_have_applied: trial.may_have_applied(),
        }
    }

    /// A failure that no attempt of the call itself had a part in.
    pub(super) fn before_any(failure: Failure) -> Self {
        Self { failure, endpoint: None, attempts: 0, may_have_applied: false }
    }

    fn wants_fresh_token(&self) -> bool {
        self.failure.remedy() == Remedy::Reauthenticate
    }

    pub(super) fn into_error(self, rpc: Rpc, began: Instant) -> Error {
        let call = CallContext {
            rpc: rpc.name(),
            endpoint: self.endpoint,
            attempts: self.attempts,
            elapsed: began.elapsed(),
        };
        let kind = self.failure.kind();
        Error::new(kind, explain(kind, &self.failure)).with_call(call).maybe_applied(self.may_have_applied)
    }
}

/// The failure, and what to do about it where that is not plain.
fn explain(kind: ErrorKind, failure: &Failure) -> String {
    let advice = match kind {
        ErrorKind::Auth if failure.says("user name is empty") => "the cluster wants a user and password",
        ErrorKind::Auth => "check user and password",
        ErrorKind::NoSpace => "compact, defragment each member, then disarm the alarm",
        _ => return failure.to_string(),
    };
    format!("{failure}; {advice}")
}
