use std::sync::Arc;
use std::time::Duration;

use super::endpoints::sync_for_ever;
use super::{Client, LONGEST_TIMEOUT};
use crate::error::Result;
#[cfg(feature = "tls")]
use crate::net::TlsConfig;
use crate::net::{Credentials, Dialer, Endpoint, Limits, Transport};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest message that etcd sends.
const MAX_RESPONSE_BYTES: usize = (1 << 31) - 1;

/// How to reach a cluster. Made by [`Client::builder`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    endpoints: Vec<Endpoint>,
    credentials: Option<Credentials>,
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
    connect_timeout: Duration,
    request_timeout: Duration,
    max_response_bytes: usize,
    sync_interval: Option<Duration>,
}

impl ClientBuilder {
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            credentials: None,
            #[cfg(feature = "tls")]
            tls: None,
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
            sync_interval: None,
        }
    }

    /// The user to act as. Default: none. The token is fetched when it is first needed, and again
    /// when a server no longer takes it. A cluster with authentication off ignores them.
    #[must_use]
    pub fn credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// How to recognise servers and what to show them. Default: the machine's roots, for endpoints
    /// with `https://`. Given, it also turns TLS on for endpoints without a scheme.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, tls: TlsConfig) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// How long connecting to one member may take, name look-up and TLS included. Default: 2 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_timeout: timeout, ..self }
    }

    /// How long a whole call may take, all attempts together. Default: 5 s.
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> Self {
        Self { request_timeout: timeout, ..self }
    }

    /// The largest answer to accept, in bytes. Default: 2 GiB less one, the largest that etcd sends.
    #[must_use]
    pub fn max_response_bytes(self, bytes: usize) -> Self {
        Self { max_response_bytes: bytes, ..self }
    }

    /// Takes the endpoints from the cluster's member list this often, beginning one interval after
    /// connecting; see [`Client::sync_endpoints`]. Default: never. Failures are passed over: the
    /// endpoints then stay as they are.
    #[must_use]
    pub fn sync_interval(self, interval: Duration) -> Self {
        Self { sync_interval: Some(interval), ..self }
    }

    /// Connects: at least one member has answered when this returns, and with credentials a token
    /// was obtained. If none answers and one took longer to dial than the connect timeout, all are asked once more
    /// while the request timeout is not over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if something given can't work, [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if no member
    /// answers (the message tells each one's cause), [`ErrorKind::Auth`](crate::ErrorKind::Auth) for wrong credentials.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn connect(self) -> Result<Client> {
        let client = self.connect_lazy()?;
        client.check().await?;
        Ok(client)
    }

    /// The client without any IO but reading certificate files: connections come about when needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if something given can't work.
    pub fn connect_lazy(self) -> Result<Client> {
        let dialer = self.dialer();
        let limits = Limits {
            request_timeout: self.request_timeout.min(LONGEST_TIMEOUT),
            max_response_bytes: self.max_response_bytes,
        };
        let transport = Arc::new(Transport::new(self.endpoints, dialer, self.credentials, limits)?);
        if let Some(interval) = self.sync_interval {
            tokio::spawn(sync_for_ever(Arc::downgrade(&transport), interval));
        }
        Ok(Client::new(transport))
    }

    #[cfg(feature = "tls")]
    fn dialer(&self) -> Dialer {
        Dialer::new(self.connect_timeout, self.tls.clone())
    }

    #[cfg(not(feature = "tls"))]
    fn dialer(&self) -> Dialer {
        Dialer::new(self.connect_timeout)
    }
}
