use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

use prost::Message;
use tokio::sync;
use tonic::metadata::{Ascii, MetadataValue};

use super::codec::Rpc;
use super::failure::Failure;
use super::gave_up::GaveUp;
use super::retry::RetryClass;
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

/// What a request carries to say who is asking.
#[derive(Clone)]
pub(crate) struct Token {
    /// Rises with every authentication: tells whether a refused token is still the newest.
    generation: u64,
    /// `None` while the server has authentication off.
    value: Option<MetadataValue<Ascii>>,
}

impl Token {
    pub(crate) fn value(&self) -> Option<&MetadataValue<Ascii>> {
        self.value.as_ref()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(generation {})", self.generation)
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

/// The credentials and the newest token obtained with them.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    credentials: Option<Credentials>,
    newest: Mutex<Option<Token>>,
    /// Held while authenticating: each attempt costs the server a password hash, so that callers
    /// who need a token at the same time share one.
    refreshing: sync::Mutex<()>,
}

impl Auth {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, ..Self::default() }
    }

    /// The newest token, unless it is the one that was refused.
    fn usable(&self, refused: Option<&Token>) -> Option<Token> {
        let newest = lock(&self.newest).clone()?;
        let refused = refused.is_some_and(|refused| refused.generation >= newest.generation);
        (!refused).then_some(newest)
    }

    fn store(&self, value: Option<MetadataValue<Ascii>>) -> Token {
        let mut newest = lock(&self.newest);
        let generation = newest.as_ref().map_or(0, |token| token.generation) + 1;
        newest.insert(Token { generation, value }).clone()
    }
}

impl Transport {
    /// Obtains a token now rather than with the first call, if there are credentials.
    pub(crate) async fn check_credentials(&self) -> Result<(), Error> {
        let began = Instant::now();
        let deadline = began + self.request_timeout();
        self.token(None, deadline).await.map(drop).map_err(|gave_up| gave_up.into_error(AUTHENTICATE, began))
    }

    /// The tokens that a call may use, one after the other.
    pub(super) async fn tokens(&self, deadline: Instant) -> Result<Tokens<'_>, GaveUp> {
        Ok(Tokens {
            transport: self,
            deadline,
            current: self.token(None, deadline).await?,
            renewals: MAX_RENEWALS,
        })
    }

    /// A token that is not the refused one; `None` without credentials.
    async fn token(&self, refused: Option<&Token>, deadline: Instant) -> Result<Option<Token>, GaveUp> {
        let auth = self.auth();
        let Some(credentials) = &auth.credentials else { return Ok(None) };
        if let Some(token) = auth.usable(refused) {
            return Ok(Some(token));
        }
        let _one_at_a_time = auth.refreshing.lock().await;
        if let Some(token) = auth.usable(refused) {
            return Ok(Some(token));
        }
        let value = self.authenticate(credentials, deadline).await?;
        Ok(Some(auth.store(value)))
    }

    /// A fresh token from the server; `None` if it has authentication off.
    async fn authenticate(
        &self,
        credentials: &Credentials,
        deadline: Instant,
    ) -> Result<Option<MetadataValue<Ascii>>, GaveUp> {
        let request = AuthenticateRequest {
            name: credentials.user.clone(),
            password: credentials.password.expose().to_owned(),
        };
        let call = Call { rpc: AUTHENTICATE, class: RetryClass::Read, target: Target::Any, deadline };
        match self.run(&call, request.encode_to_vec().into(), None).await {
            Ok(answer) => token_value(AuthenticateResponse::decode(answer)).map(Some),
            Err(gave_up) if gave_up.says("authentication is not enabled") => Ok(None),
            Err(gave_up) => Err(gave_up),
        }
    }
}

fn token_value(
    response: Result<AuthenticateResponse, prost::DecodeError>,
) -> Result<MetadataValue<Ascii>, GaveUp> {
    let response = response.map_err(|error| GaveUp::before_any(Failure::Malformed(error.to_string())))?;
    let mut value: MetadataValue<Ascii> = response
        .token
        .parse()
        .map_err(|_| GaveUp::before_any(Failure::Malformed("the token is no header value".into())))?;
    value.set_sensitive(true);
    Ok(value)
}
