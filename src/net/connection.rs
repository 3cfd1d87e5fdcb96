use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::uri::{Scheme, Uri};
use tokio::sync::{self, OnceCell};

use super::dialer::Dialer;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::link::{Link, WeakLink, Windows};
use crate::error::{Error, ErrorKind, Result};
use crate::util::lock;

/// The HTTP/2 connection to one member, dialled when it is first needed and again after a loss.
pub(crate) struct Connection {
    endpoint: Endpoint,
    origin: Uri,
    dialer: Arc<Dialer>,
    windows: Windows,
    max_response_bytes: usize,
    /// The current attempt to be connected: callers share one dial and its outcome.
    link: Mutex<Attempt>,
    /// Links that were replaced since the member was silent. Some calls may still wait for it there.
    doubtful: Mutex<Vec<WeakLink>>,
    pulse: sync::Mutex<Pulse>,
}

/// An attempt to be connected, and what came of it.
type Attempt = Arc<OnceCell<Result<Link, Failure>>>;

/// When the member was last asked whether it is well, and whether it was.
pub(super) type Pulse = Option<(Instant, bool)>;

impl Connection {
    /// Fails for an endpoint that can't be dialled as it is configured.
    pub(super) fn new(endpoint: Endpoint, dialer: &Arc<Dialer>, max_response_bytes: usize) -> Result<Self> {
        dialer.prepare(&endpoint)?;
        let origin = origin(&endpoint, dialer.encrypts(&endpoint)).map_err(|error| {
            Error::new(ErrorKind::Config, format!("endpoint {endpoint} can't be used")).with_source(error)
        })?;
        let dialer = Arc::clone(dialer);
        Ok(Self::unconnected(endpoint, origin, dialer, Windows::SHARED, max_response_bytes))
    }

    fn unconnected(
        endpoint: Endpoint,
        origin: Uri,
        dialer: Arc<Dialer>,
        windows: Windows,
        max_response_bytes: usize,
    ) -> Self {
        let (link, doubtful, pulse) = (Mutex::default(), Mutex::default(), sync::Mutex::default());
        Self { endpoint, origin, dialer, windows, max_response_bytes, link, doubtful, pulse }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.origin.scheme() == Some(&Scheme::HTTPS)
    }

    /// The largest message to take from the member.
    pub(super) fn max_response_bytes(&self) -> usize {
        self.max_response_bytes
    }

    /// Held while the member is being asked, so that callers share the question.
    pub(super) fn pulse(&self) -> &sync::Mutex<Pulse> {
        &self.pulse
    }

    /// Another, independent connection to the same member.
    pub(crate) fn sibling(&self, windows: Windows) -> Self {
        let (endpoint, origin, dialer) =
            (self.endpoint.clone(), self.origin.clone(), Arc::clone(&self.dialer));
        Self::unconnected(endpoint, origin, dialer, windows, self.max_response_bytes)
    }

    /// An open link to the member, dialling it if there is none.
    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        let cell = match self.current() {
            Ok(open) => return Ok(open),
            Err(cell) => cell,
        };
        let outcome = cell.get_or_init(|| self.dial()).await.clone();
        if outcome.is_err() {
            self.forget(&cell);
        }
        outcome
    }

    /// The open link, or else the attempt to get one.
    fn current(&self) -> Result<Link, Attempt> {
        let mut attempt = lock(&self.link);
        match attempt.get() {
            Some(Ok(open)) if !open.is_closed() => return Ok(open.clone()),
            Some(Ok(_)) => *attempt = Arc::default(),
            _ => {}
        }
        Err(Arc::clone(&attempt))
    }

    /// Lets the next caller dial again, unless one has already begun to.
    fn forget(&self, failed: &Attempt) {
        let mut link = lock(&self.link);
        if Arc::ptr_eq(&link, failed) {
            *link = Arc::default();
        }
    }

    /// Lets the next caller dial anew; who uses the open link keeps it.
    pub(super) fn replace_link(&self) {
        let replaced = mem::take(&mut *lock(&self.link));
        if let Some(Ok(open)) = replaced.get() {
            let mut doubtful = lock(&self.doubtful);
            doubtful.retain(WeakLink::is_used);
            doubtful.push(open.downgrade());
        }
    }

    /// The member has answered: a replaced link over which it does not is dead, and whoever waits there is told.
    pub(super) fn doubt_replaced_links(&self) {
        mem::take(&mut *lock(&self.doubtful)).iter().for_each(WeakLink::doubt);
    }

    async fn dial(&self) -> Result<Link, Failure> {
        let socket = self.dialer.dial(&self.endpoint).await?;
        Link::open(socket, self.origin.clone(), self.windows).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.endpoint)
    }
}

/// The part of a request's URI that names the member.
fn origin(endpoint: &Endpoint, encrypted: bool) -> Result<Uri, http::Error> {
    let scheme = if encrypted { Scheme::HTTPS } else { Scheme::HTTP };
    Uri::builder().scheme(scheme).authority(endpoint.authority()).path_and_query("/").build()
}
