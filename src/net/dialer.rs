use std::io;
#[cfg(feature = "tls")]
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::addresses;
use super::endpoint::{Address, Endpoint, Security, bare_host};
use super::failure::{Failure, chain};
use super::socket::Socket;
#[cfg(feature = "tls")]
use super::tls::{TlsConfig, TlsDialer};
use crate::error::Result;

/// Opens sockets to endpoints: TCP or unix, and TLS on top where the endpoint asks for it.
#[derive(Debug)]
pub(crate) struct Dialer {
    connect_timeout: Duration,
    #[cfg(feature = "tls")]
    tls: Tls,
}

/// TLS as configured, set up when the first endpoint needs it.
#[cfg(feature = "tls")]
#[derive(Debug)]
struct Tls {
    config: Option<TlsConfig>,
    dialer: OnceLock<TlsDialer>,
}

impl Dialer {
    #[cfg(feature = "tls")]
    pub(crate) fn new(connect_timeout: Duration, config: Option<TlsConfig>) -> Self {
        Self { connect_timeout, tls: Tls { config, dialer: OnceLock::new() } }
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { connect_timeout }
    }

    /// Sets up what dialling the endpoint takes, so that a bad certificate is named at the start.
    #[cfg(feature = "tls")]
    pub(super) fn prepare(&self, endpoint: &Endpoint) -> Result<()> {
        if self.encrypts(endpoint) && self.tls.dialer.get().is_none() {
            let dialer = TlsDialer::new(self.tls.config.as_ref().unwrap_or(&TlsConfig::new()))?;
            // Another thread may have been quicker, with the same configuration.
            let _ = self.tls.dialer.set(dialer);
        }
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    pub(super) fn prepare(&self, endpoint: &Endpoint) -> Result<()> {
        use crate::error::{Error, ErrorKind};
        if self.encrypts(endpoint) {
            let message = format!("endpoint {endpoint} needs the crate's feature \"tls\", which is off");
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(())
    }

    /// Whether a connection to the endpoint is encrypted.
    pub(super) fn encrypts(&self, endpoint: &Endpoint) -> bool {
        match endpoint.security() {
            Security::Plaintext => false,
            Security::Tls => true,
            #[cfg(feature = "tls")]
            Security::AsConfigured => self.tls.config.is_some(),
            #[cfg(not(feature = "tls"))]
            Security::AsConfigured => false,
        }
    }

    /// A connected socket, within the connect timeout: name look-up, TCP and TLS together.
    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<Socket, Failure> {
        match timeout(self.connect_timeout, self.open(endpoint)).await {
            Ok(socket) => socket,
            Err(_) => Err(Failure::SlowDial(self.connect_timeout)),
        }
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Socket, Failure> {
        let socket = connect(endpoint.address()).await.map_err(|error| Failure::Dial(chain(&error)))?;
        #[cfg(feature = "tls")]
        if let (true, Some(tls)) = (self.encrypts(endpoint), self.tls.dialer.get()) {
            return Ok(Socket::new(tls.handshake(endpoint.server_name(), socket).await?));
        }
        Ok(socket)
    }
}

async fn connect(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Tcp { host, port } => {
            let tcp = addresses::connect(bare_host(host), *port).await?;
            // Requests are small and wait for their answers: Nagle's algorithm would only delay them.
            tcp.set_nodelay(true)?;
            Ok(Socket::new(tcp))
        }
        Address::Unix(path) => Ok(Socket::new(UnixStream::connect(path).await?)),
    }
}
