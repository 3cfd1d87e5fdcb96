use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use http::HeaderValue;
use prost::Message;
use tokio::sync;
use tokio::time::timeout_at;

use super::failure::Failure;
use super::gave_up::GaveUp;
use super::retry::RetryClass;
use super::rpc::Rpc;
use super::token::Token;
use super::transport::{Call, Target, Transport};
use crate::error::Error;
use crate::pb::etcdserverpb::{AuthenticateRequest, AuthenticateResponse};
use crate::util::{Secret, lock};

const AUTHENTICATE: Rpc = Rpc::new("/etcdserverpb.Auth/Authenticate");
/// How often a call takes a fresh token: a change of users can make one old as soon as it is there.
const MAX_RENEWALS: u32 = 3;

/// A user and a password. `Debug` shows the user only.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: Secret,
}

impl Credentials {
    /// Credentials of an etcd user.
    #[must_use]
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: Secret::new(password) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The credentials and the newest token obtained with them.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    state: Mutex<State>,
    /// Held while authenticating: each attempt costs the server a password hash, so that callers
    /// who need a token at the same time share one.
    refreshing: sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    credentials: Option<Credentials>,
    newest: Option<Token>,
    /// Counts tokens, and changes of credentials too: no token is mistaken for one of other
    /// credentials.
    generation: u64,
}

impl Auth {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        let state = State { credentials, ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// The credentials, and the generation that a token obtained with them may have.
    fn credentials(&self) -> Option<(Credentials, u64)> {
        let state = lock(&self.state);
        Some((state.credentials.clone()?, state.generation + 1))
    }

    /// The user's name, if there are credentials.
    #[cfg(feature = "backup")]
    pub(crate) fn user(&self) -> Option<String> {
        lock(&self.state).credentials.as_ref().map(|credentials| credentials.user.clone())
    }

    fn is_anonymous(&self) -> bool {
        lock(&self.state).credentials.is_none()
    }

    /// From now on other credentials; the token obtained with the old ones is forgotten.
    pub(crate) fn replace(&self, credentials: Option<Credentials>) {
        let mut state = lock(&self.state);
        state.credentials = credentials;
        state.newest = None;
        state.generation += 1;
    }

    /// The newest token, unless it is the one that was refused.
    fn usable(&self, refused: Option<&Token>) -> Option<Token> {
        let newest = lock(&self.state).newest.clone()?;
        let refused = refused.is_some_and(|refused| refused.generation >= newest.generation);
        (!refused).then_some(newest)
    }

    /// Keeps a token, unless the credentials have changed since it was asked for.
    fn keep(&self, token: &Token) {
        let mut state = lock(&self.state);
        if state.generation + 1 == token.generation {
            state.generation = token.generation;
            state.newest = Some(token.clone());
        }
    }
}

/// The token that a call uses, and how it gets another.
pub(super) struct Tokens<'a> {
    transport: &'a Transport,
    deadline: Instant,
    current: Option<Token>,
    renewals: u32,
}

impl Tokens<'_> {
    pub(super) fn current(&self) -> Option<&Token> {
        self.current.as_ref()
    }

    /// Whether the call was refused for its token, and another may be had.
    pub(super) fn may_help(&self, refused: &GaveUp) -> bool {
        self.renewals > 0 && self.current.is_some() && refused.wants_fresh_token()
    }

    /// Takes a token that is newer than the current one.
    pub(super) async fn renew(&mut self) -> Result<(), GaveUp> {
        self.renewals -= 1;
        self.current = self.transport.token(self.current.as_ref(), self.deadline).await?;
        Ok(())
    }
}

impl Transport {
    /// Obtains a token now rather than with the first call, if there are credentials.
    pub(crate) async fn check_credentials(&self) -> Result<(), Error> {
        let began = Instant::now();
        let deadline = began + self.request_timeout();
        self.token(None, deadline).await.map(drop).map_err(|gave_up| gave_up.into_error(AUTHENTICATE, began))
    }

    /// The tokens that a call may use, one after the other, but not the `refused` one.
    pub(super) async fn tokens(
        &self,
        refused: Option<&Token>,
        deadline: Instant,
    ) -> Result<Tokens<'_>, GaveUp> {
        let current = self.token(refused, deadline).await?;
        Ok(Tokens { transport: self, deadline, current, renewals: MAX_RENEWALS })
    }

    /// A token that is not the refused one; `None` without credentials.
    async fn token(&self, refused: Option<&Token>, deadline: Instant) -> Result<Option<Token>, GaveUp> {
        if self.auth().is_anonymous() {
            return Ok(None);
        }
        match self.auth().usable(refused) {
            Some(token) if token.should_be_refreshed(Instant::now()) => {
                Ok(Some(self.refreshed_ahead(token, deadline).await))
            }
            Some(token) => Ok(Some(token)),
            None => self.obtain(refused, deadline).await,
        }
    }

    /// One caller obtains the next token, while the others go on with this one; so does the one if
    /// it fails.
    async fn refreshed_ahead(&self, token: Token, deadline: Instant) -> Token {
        let Ok(_one_at_a_time) = self.auth().refreshing.try_lock() else { return token };
        match self.authenticate(deadline).await {
            Ok(Some(fresh)) => fresh,
            _ => token,
        }
    }

    async fn obtain(&self, refused: Option<&Token>, deadline: Instant) -> Result<Option<Token>, GaveUp> {
        // Who is at it may have more time.
        let turn = timeout_at(deadline.into(), self.auth().refreshing.lock()).await;
        let _one_at_a_time = turn.map_err(|_| GaveUp::before_any(Failure::TimedOut))?;
        match self.auth().usable(refused) {
            Some(token) => Ok(Some(token)),
            None => self.authenticate(deadline).await,
        }
    }

    /// A fresh token from the server, to be used from now on; `None` without credentials.
    async fn authenticate(&self, deadline: Instant) -> Result<Option<Token>, GaveUp> {
        let Some((credentials, generation)) = self.auth().credentials() else { return Ok(None) };
        let request = AuthenticateRequest {
            name: credentials.user,
            password: credentials.password.expose().to_owned(),
        };
        let call = Call { rpc: AUTHENTICATE, class: RetryClass::Read, target: Target::Any, deadline };
        let value = match self.run(&call, &request.encode_to_vec().into(), None).await {
            Ok(answer) => Some(token_value(AuthenticateResponse::decode(answer))?),
            Err(gave_up) if gave_up.says("authentication is not enabled") => None,
            Err(gave_up) => return Err(gave_up),
        };
        let token = Token::new(generation, value);
        self.auth().keep(&token);
        Ok(Some(token))
    }
}

fn token_value(response: Result<AuthenticateResponse, prost::DecodeError>) -> Result<HeaderValue, GaveUp> {
    let malformed = |what: String| GaveUp::before_any(Failure::Malformed(what));
    let response = response.map_err(|error| malformed(error.to_string()))?;
    let value = HeaderValue::try_from(response.token);
    let mut value = value.map_err(|_| malformed("the token is no header value".into()))?;
    value.set_sensitive(true);
    Ok(value)
}
