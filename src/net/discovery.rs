use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;

use super::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};

/// Finds a cluster's endpoints in DNS, by the SRV records that etcd's own tools use.
///
/// `_etcd-client-ssl._tcp.DOMAIN` gives `https` endpoints, `_etcd-client._tcp.DOMAIN` plaintext ones, which
/// count only if they are allowed and there are no encrypted ones.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::{Client, Discovery};
///
/// let endpoints = Discovery::new("example.com").endpoints().await?;
/// let client = Client::connect(endpoints.iter().map(ToString::to_string)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Discovery {
    domain: String,
    service: Option<String>,
    allow_plaintext: bool,
    name_server: Option<SocketAddr>,
}

impl Discovery {
    /// Looks into this domain, by the machine's resolver, for encrypted endpoints.
    #[must_use]
    pub fn new(domain: impl Into<String>) -> Self {
        Self { domain: domain.into(), service: None, allow_plaintext: false, name_server: None }
    }

    /// Looks for this service: `_etcd-client-ssl-NAME` instead of `_etcd-client-ssl`.
    #[must_use]
    pub fn service(self, name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), ..self }
    }

    /// Takes plaintext endpoints where there are no encrypted ones.
    #[must_use]
    pub fn allow_plaintext(self) -> Self {
        Self { allow_plaintext: true, ..self }
    }

    /// Asks this name server instead of the machine's.
    #[must_use]
    pub fn name_server(self, address: SocketAddr) -> Self {
        Self { name_server: Some(address), ..self }
    }

    /// The endpoints that DNS tells, never none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there are none, [`ErrorKind::Config`] if the machine has no resolver.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let resolver = self.resolver().map_err(|error| {
            Error::new(ErrorKind::Config, format!("no resolver can be set up: {error}")).with_source(error)
        })?;
        let encrypted = self.look_up(&resolver, "etcd-client-ssl", "https").await?;
        if !encrypted.is_empty() {
            return Ok(encrypted);
        }
        let plaintext = self.look_up(&resolver, "etcd-client", "http").await?;
        match (plaintext.is_empty(), self.allow_plaintext) {
            (false, true) => Ok(plaintext),
            (false, false) => {
                Err(self.not_found("there are plaintext endpoints only, which were not allowed"))
            }
            (true, _) => Err(self.not_found("there are no such records")),
        }
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let builder = match self.name_server {
            None => TokioResolver::builder_tokio()?,
            Some(address) => {
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![at(address)]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        builder.build()
    }

    /// The records of one kind; none if the look-up fails, since the other kind may be there.
    async fn look_up(&self, resolver: &TokioResolver, kind: &str, scheme: &str) -> Result<Vec<Endpoint>> {
        let found = resolver.srv_lookup(self.name(kind)).await;
        let records = found.iter().flat_map(|lookup| lookup.answers());
        let targets = records.filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
        targets.map(|srv| endpoint(scheme, srv)).collect()
    }

    fn name(&self, kind: &str) -> String {
        let service = self.service.as_ref().map(|name| format!("-{name}")).unwrap_or_default();
        format!("_{kind}{service}._tcp.{}.", self.domain.trim_end_matches('.'))
    }

    fn not_found(&self, why: &str) -> Error {
        let names = format!("{} and {}", self.name("etcd-client-ssl"), self.name("etcd-client"));
        Error::new(
            ErrorKind::NotFound,
            format!("DNS tells no endpoints of {}: {why}; asked for {names}", self.domain),
        )
    }
}

fn endpoint(scheme: &str, srv: &SRV) -> Result<Endpoint> {
    // A full name ends in a dot, which no certificate holds.
    let host = srv.target.to_utf8();
    format!("{scheme}://{}:{}", host.trim_end_matches('.'), srv.port).parse()
}

fn at(address: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(with_port);
    NameServerConfig::new(address.ip(), true, connections.into())
}
