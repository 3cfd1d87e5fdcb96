//! The public RPC surface: the client, request values and their results, calls on one member.
//!
//! No generated type leaves this floor. Used by `stream` and `backup`.

mod builder;
mod endpoints;
mod member;
mod request;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Extensions;

pub use builder::ClientBuilder;
pub use member::{HashKvResult, HashResult, Member, Status, StatusDowngrade};
pub(crate) use request::Opening;
pub use request::*;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{Call, Credentials, Endpoint, Failure, Target, Transport};
use crate::types::{KeyRange, KeyValue, Namespace};
use crate::util::lock;

/// A client of one etcd cluster.
///
/// Cheap to clone: clones share connections, token and what is known of the members' health.
/// All methods take `&self` and may be called at once from many tasks. Must be used within a tokio
/// runtime.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::Client;
///
/// let client = Client::connect(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]).await?;
/// client.put("greeting", "hello").await?;
/// let found = client.get("greeting").await?;
/// assert_eq!(found.unwrap().value, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    namespace: Namespace,
    /// What the streams of all clones have in common, by its type.
    shared: Arc<Mutex<Extensions>>,
}

impl Client {
    /// Connects with every default: no credentials, 2 s to connect, 5 s a call.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an endpoint that is none, [`ErrorKind::Unavailable`] if no member
    /// answers.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn connect<I>(endpoints: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self::builder(endpoints)?.connect().await
    }

    /// Begins the configuration of a client for the cluster with these endpoints; each may be a list with
    /// commas.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an endpoint that is none; see [`Endpoint`].
    pub fn builder<I>(endpoints: I) -> Result<ClientBuilder>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(ClientBuilder::new(endpoints::parse_endpoints(endpoints)?))
    }

    fn new(transport: Arc<Transport>) -> Self {
        Self { transport, namespace: Namespace::default(), shared: Arc::default() }
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    /// The one value of its type that all clones of this client share, made by whoever needs it first.
    /// The floors above keep there what they must not have twice, such as streams that many watches use.
    pub(crate) fn shared<T>(&self, make: impl FnOnce() -> T) -> T
    where
        T: Clone + Send + Sync + 'static,
    {
        lock(&self.shared).get_or_insert_with(make).clone()
    }

    /// A client that sees only the keys with this prefix, and names them without it. It shares everything
    /// else with this one: connections, token, what is known of the members' health.
    ///
    /// A range without an end, [`KeyRange::all`] too, ends with the prefix. Leases, members, users and the
    /// ranges of their permissions are the cluster's and stay as they are. Namespaces nest.
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// let app = client.namespace("/app/");
    /// app.put("config", "on").await?;
    /// assert!(client.get("/app/config").await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn namespace(&self, prefix: impl AsRef<[u8]>) -> Self {
        let namespace = self.namespace.inner(prefix.as_ref());
        Self { namespace, ..self.clone() }
    }

    /// What part of the keyspace this client sees, for streams, which encode their own requests.
    pub(crate) fn current_namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Reads one key; `None` if there is none. Linearizable.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<KeyValue>> {
        let found = self.send(Get::new(KeyRange::key(key))).await?;
        Ok(found.kvs.into_iter().next())
    }

    /// Writes one key.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. Not repeated when its outcome is unknown: see
    /// [`Error::may_have_applied`].
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was sent, the write may or may not take effect.
    pub async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<PutResult> {
        self.send(Put::new(key, value)).await
    }

    /// Deletes a key, or the keys of a range.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. Not repeated when its outcome is unknown: see
    /// [`Error::may_have_applied`].
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was sent, the deletion may or may not take effect.
    pub async fn delete(&self, range: impl Into<KeyRange>) -> Result<DeleteResult> {
        self.send(Delete::new(range)).await
    }

    /// Sends any request, to whichever member can serve it.
    ///
    /// What certainly was not carried out is tried again at another member, and so is what may be
    /// repeated; a write with an unknown outcome is not. All within the client's request timeout.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the request can't be valid, before anything is sent.
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Deadline`] if no member served it in time. Otherwise
    /// what the server says, as a kind: [`ErrorKind::Compacted`], [`ErrorKind::PermissionDenied`],
    /// [`ErrorKind::NoSpace`] and so on. [`Error::may_have_applied`] tells about writes.
    ///
    /// # Cancel safety
    ///
    /// A read may be dropped at any time. A write that is dropped after it was sent may or may not
    /// take effect.
    pub async fn send<R: Request>(&self, request: R) -> Result<R::Response> {
        self.send_within(request, self.transport.request_timeout()).await
    }

    /// As [`Client::send`], with another time limit than the client's: for requests that take long by
    /// nature.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::send`].
    pub async fn send_within<R: Request>(&self, request: R, timeout: Duration) -> Result<R::Response> {
        self.send_to(Target::Any, request, timeout).await
    }

    async fn send_to<R: Request>(
        &self,
        target: Target,
        request: R,
        timeout: Duration,
    ) -> Result<R::Response> {
        let deadline = deadline_in(timeout);
        match self.attempt(target, &request, deadline).await {
            Err(error) if error.may_have_applied() => request.settle(error, self, deadline).await,
            outcome => outcome,
        }
    }

    async fn send_until<R: Request>(&self, request: &R, deadline: Instant) -> Result<R::Response> {
        self.attempt(Target::Any, request, deadline).await
    }

    /// All attempts at a request; whether one of unknown outcome was carried out is left open.
    async fn attempt<R: Request>(
        &self,
        target: Target,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response> {
        let wire = request.call(&self.namespace)?;
        let call = Call { rpc: wire.rpc, class: wire.class, target, deadline };
        let outcome = self.transport.unary(&call, wire.message.clone()).await;
        request.decode(outcome.map_err(|error| wire.explain(error))?, &self.namespace)
    }

    /// The members that the client was given, in that order.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let roster = self.transport.roster();
        let connections = roster.connections().iter();
        connections.map(|connection| Member::new(self.clone(), Arc::clone(connection))).collect()
    }

    /// The member at an endpoint that the client was given.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it was not given that endpoint.
    pub fn member(&self, endpoint: &Endpoint) -> Result<Member> {
        self.members().into_iter().find(|member| member.endpoint() == endpoint).ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("the client was not given the endpoint {endpoint}"))
        })
    }

    /// Acts as another user from now on, or as none. Calls under way end as they began.
    pub fn set_credentials(&self, credentials: impl Into<Option<Credentials>>) {
        self.transport.auth().replace(credentials.into());
    }

    /// As which user it acts, if it has credentials.
    #[cfg(feature = "backup")]
    pub(crate) fn user(&self) -> Option<String> {
        self.transport.auth().user()
    }

    /// Fails unless a member answers and the credentials are good.
    async fn check(&self) -> Result<()> {
        self.reach_any_member().await?;
        self.transport.check_credentials().await
    }

    /// Asks once more who took too long to be dialled, while there is time: a machine that stands still for a moment,
    /// this one or a member's, is no reason to give up.
    async fn reach_any_member(&self) -> Result<()> {
        let began = Instant::now();
        let Err(mut causes) = self.ask_members().await else { return Ok(()) };
        let slow = causes.iter().any(|(_, cause)| matches!(cause, Failure::SlowDial(_)));
        if slow && began.elapsed() < self.transport.request_timeout() {
            let Err(again) = self.ask_members().await else { return Ok(()) };
            causes = again;
        }
        let causes: Vec<_> = causes.iter().map(|(endpoint, cause)| format!("{endpoint}: {cause}")).collect();
        Err(Error::new(ErrorKind::Unavailable, format!("no member answers: {}", causes.join("; "))))
    }

    /// Whether any member answers, one after the other, or why each of them does not.
    async fn ask_members(&self) -> Result<(), Vec<(Endpoint, Failure)>> {
        let mut causes = Vec::new();
        for connection in self.transport.roster().connections() {
            let deadline = deadline_in(self.transport.request_timeout());
            match connection.answers(member::STATUS, deadline).await {
                Ok(()) => return Ok(()),
                Err(cause) => causes.push((connection.endpoint().clone(), cause)),
            }
        }
        Err(causes)
    }
}

/// An `Instant` can't hold what any `Duration` would make of it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1 << 30);

fn deadline_in(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(LONGEST_TIMEOUT)
}
