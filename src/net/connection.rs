use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::uri::{Authority, Scheme, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::TokioTimer;
use tokio::sync::{self, OnceCell, watch};
use tokio::time::timeout;
use tonic::body::Body;
use tower_service::Service;

use super::dialer::Dialer;
use super::endpoint::Endpoint;
use super::failure::{Failure, chain};
use crate::error::{Error, ErrorKind, Result};
use crate::util::lock;

/// A ping this often while a request is under way. etcd closes connections that ping more often
/// than every 5 s, and any that ping while idle.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a ping may stay unanswered before the connection counts as lost.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a closed connection may take to tell why.
const END_TIMEOUT: Duration = Duration::from_millis(100);

/// HTTP/2 flow-control windows: how many bytes a member may send before we have read them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    stream: u32,
    connection: u32,
}

impl Windows {
    /// For requests that share a connection.
    pub(crate) const SHARED: Self = Self { stream: 8 << 20, connection: 16 << 20 };
    /// For one bulk stream: fills a path of 32 MiB in flight.
    pub(crate) const BULK: Self = Self { stream: 32 << 20, connection: 64 << 20 };
}

/// The HTTP/2 connection to one member, dialled when it is first needed and again after a loss.
pub(crate) struct Connection {
    endpoint: Endpoint,
    origin: Origin,
    dialer: Arc<Dialer>,
    windows: Windows,
    max_response_bytes: usize,
    /// The current attempt to be connected: callers share one dial and its outcome.
    link: Mutex<Attempt>,
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
        let origin = Origin::new(&endpoint, dialer.encrypts(&endpoint)).map_err(|error| {
            Error::new(ErrorKind::Config, format!("endpoint {endpoint} can't be used")).with_source(error)
        })?;
        let dialer = Arc::clone(dialer);
        let (link, pulse) = (Mutex::default(), sync::Mutex::default());
        Ok(Self { endpoint, origin, dialer, windows: Windows::SHARED, max_response_bytes, link, pulse })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.origin.scheme == Scheme::HTTPS
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
        Self {
            endpoint: self.endpoint.clone(),
            origin: self.origin.clone(),
            dialer: Arc::clone(&self.dialer),
            windows,
            max_response_bytes: self.max_response_bytes,
            link: Mutex::default(),
            pulse: sync::Mutex::default(),
        }
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
        *lock(&self.link) = Arc::default();
    }

    async fn dial(&self) -> Result<Link, Failure> {
        let socket = self.dialer.dial(&self.endpoint).await?;
        let (sender, driver) = http2::Builder::new(BoxingExecutor)
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(false)
            .initial_stream_window_size(self.windows.stream)
            .initial_connection_window_size(self.windows.connection)
            .handshake(socket)
            .await
            .map_err(|error| Failure::Dial(chain(&error)))?;
        let (tell, end) = watch::channel(None);
        tokio::spawn(async move {
            let cause =
                driver.await.err().map_or_else(|| "closed by the peer".to_owned(), |error| chain(&error));
            // Nobody may be left who wants to know.
            let _ = tell.send(Some(cause));
        });
        let origin = self.origin.clone();
        Ok(Link(Arc::new(Line { sender, origin, answered: AtomicBool::new(false), end })))
    }
}

/// Runs hyper's tasks, of which every request is one. They are large futures and tokio moves them
/// about as it spawns them: in a box they are moved once.
#[derive(Clone, Copy, Debug)]
struct BoxingExecutor;

impl<F> Executor<F> for BoxingExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        tokio::spawn(Box::pin(task));
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.endpoint)
    }
}

/// The part of a request's URI that names the member.
#[derive(Clone, Debug)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    fn new(endpoint: &Endpoint, encrypted: bool) -> Result<Self, http::Error> {
        let scheme = if encrypted { Scheme::HTTPS } else { Scheme::HTTP };
        let authority = Authority::try_from(endpoint.authority())?;
        Ok(Self { scheme, authority })
    }

    fn complete(&self, uri: Uri) -> Result<Uri, http::Error> {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        Ok(Uri::from_parts(parts)?)
    }
}

/// An open connection; tonic's stubs speak through it. Shared: every call has a clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Line>);

struct Line {
    sender: SendRequest<Body>,
    origin: Origin,
    /// Whether the peer has ever answered in HTTP/2: connecting alone does not show that.
    answered: AtomicBool,
    /// Why the connection ended, once it has.
    end: watch::Receiver<Option<String>>,
}

impl Link {
    fn is_closed(&self) -> bool {
        self.0.sender.is_closed()
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let Self(line) = self;
        let uri = line.origin.complete(request.uri().clone());
        *request.uri_mut() = uri.map_err(|error| Failure::NotSent(chain(&error)))?;
        let mut sender = line.sender.clone();
        if let Err(error) = sender.ready().await {
            return Err(Failure::NotSent(line.explain(&error).await));
        }
        let mut lost = match sender.try_send_request(request).await {
            Ok(response) => {
                line.answered.store(true, Ordering::Relaxed);
                return Ok(response);
            }
            Err(lost) => lost,
        };
        let cause = line.explain(lost.error()).await;
        // hyper gives the request back if it never went onto the wire.
        Err(if lost.take_message().is_some() { Failure::NotSent(cause) } else { Failure::Lost(cause) })
    }
}

impl Line {
    /// The cause, and what it usually means when the peer has never said anything in HTTP/2.
    async fn explain(&self, error: &hyper::Error) -> String {
        let cause = self.end_of_connection().await.unwrap_or_else(|| chain(error));
        if self.answered.load(Ordering::Relaxed) {
            return cause;
        }
        let wish = if self.origin.scheme == Scheme::HTTP {
            "https://"
        } else {
            "a client certificate, or another one"
        };
        format!(
            "{cause}; the peer never answered in HTTP/2: is this etcd's client port? Does it want {wish}?"
        )
    }

    /// What ended the connection, such as a server's refusal of our certificate: requests only see
    /// that it is closed, and see it a moment earlier.
    async fn end_of_connection(&self) -> Option<String> {
        if !self.sender.is_closed() {
            return None;
        }
        let mut end = self.end.clone();
        let cause = timeout(END_TIMEOUT, end.wait_for(Option::is_some)).await.ok()?;
        cause.ok()?.clone()
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Incoming>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
