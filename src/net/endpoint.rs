use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::uri::Authority;

use crate::error::{Error, ErrorKind, Result};

/// etcd's client port.
const DEFAULT_PORT: u16 = 2379;

/// Where a member listens for clients, parsed once.
///
/// | accepted | meaning |
/// | --- | --- |
/// | `host:port` | TLS if the client was given a TLS configuration |
/// | `http://host:port` | no TLS, whatever the configuration |
/// | `https://host:port` | TLS, by default with the machine's roots |
/// | `unix:///path`, `unixs:///path` | a socket in the file system, without and with TLS |
///
/// A missing port is 2379. An IPv6 address stands in brackets.
///
/// ```
/// use etcd_ark::Endpoint;
///
/// let endpoint: Endpoint = "https://10.0.0.1".parse()?;
/// assert_eq!(endpoint.to_string(), "https://10.0.0.1:2379");
/// # Ok::<(), etcd_ark::Error>(())
/// ```
///
/// # Errors
///
/// Parsing fails with [`ErrorKind::Config`] for another scheme, a path behind a port, user
/// information, or a host or port that is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    security: Security,
    address: Address,
}

/// What the scheme says about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    Plaintext,
    Tls,
    /// No scheme: TLS if it is configured.
    AsConfigured,
}

/// What to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Endpoint {
    pub(crate) fn security(&self) -> Security {
        self.security
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The name to expect in the server's certificate: the host without the brackets that a URL puts
    /// around an IPv6 address.
    #[cfg(feature = "tls")]
    pub(crate) fn server_name(&self) -> &str {
        match &self.address {
            Address::Tcp { host, .. } => bare_host(host),
            Address::Unix(_) => "localhost",
        }
    }

    /// `host:port`, as it goes into a request.
    pub(crate) fn authority(&self) -> String {
        match &self.address {
            Address::Tcp { host, port } => format!("{host}:{port}"),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }

    fn scheme(&self) -> &'static str {
        match (&self.address, self.security) {
            (Address::Unix(_), Security::Tls) => "unixs://",
            (Address::Unix(_), _) => "unix://",
            (Address::Tcp { .. }, Security::Plaintext) => "http://",
            (Address::Tcp { .. }, Security::Tls) => "https://",
            (Address::Tcp { .. }, Security::AsConfigured) => "",
        }
    }
}

pub(crate) fn bare_host(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())?;
        match &self.address {
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        match text.split_once("://") {
            None => parse_tcp(Security::AsConfigured, text, text),
            Some(("http", address)) => parse_tcp(Security::Plaintext, address, text),
            Some(("https", address)) => parse_tcp(Security::Tls, address, text),
            Some(("unix", path)) => parse_unix(Security::Plaintext, path, text),
            Some(("unixs", path)) => parse_unix(Security::Tls, path, text),
            Some((scheme, _)) => Err(bad_endpoint(scheme, "the scheme is unknown")),
        }
    }
}

fn parse_unix(security: Security, path: &str, text: &str) -> Result<Endpoint> {
    if path.is_empty() {
        return Err(bad_endpoint(text, "the path is missing"));
    }
    Ok(Endpoint { security, address: Address::Unix(path.into()) })
}

fn parse_tcp(security: Security, address: &str, text: &str) -> Result<Endpoint> {
    let address = address.strip_suffix('/').unwrap_or(address);
    // User information is refused before anything repeats the text: it could hold a password.
    if address.contains('@') {
        return Err(bad_endpoint("(not shown)", "user and password don't belong into an endpoint"));
    }
    if address.contains(['/', '?', '#']) {
        return Err(bad_endpoint(text, "an endpoint has no path"));
    }
    let authority = Authority::from_str(address).map_err(|cause| bad_endpoint(text, &cause.to_string()))?;
    let port = port(&authority).ok_or_else(|| bad_endpoint(text, "the port is not a number up to 65535"))?;
    match authority.host() {
        "" => Err(bad_endpoint(text, "the host is missing")),
        host => Ok(Endpoint { security, address: Address::Tcp { host: host.to_owned(), port } }),
    }
}

/// `None` if a port is given but is none.
fn port(authority: &Authority) -> Option<u16> {
    let given = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    match given.strip_prefix(':') {
        None => Some(DEFAULT_PORT),
        Some(port) => port.parse().ok().filter(|&port| port != 0),
    }
}

fn bad_endpoint(text: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "endpoint {text:?}: {why}; give host:port, http://host:port, https://host:port or unix:///path"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Endpoint>().unwrap().to_string()
    }

    #[test]
    fn every_accepted_form_is_normalised() {
        assert_eq!(shown("a"), "a:2379");
        assert_eq!(shown(" a:1 "), "a:1");
        assert_eq!(shown("http://a:1/"), "http://a:1");
        assert_eq!(shown("https://[::1]:1"), "https://[::1]:1");
        assert_eq!(shown("[::1]"), "[::1]:2379");
        assert_eq!(shown("unix:///run/etcd.sock"), "unix:///run/etcd.sock");
        assert_eq!(shown("unixs://etcd:2379"), "unixs://etcd:2379");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn an_ipv6_host_is_dialled_without_brackets() {
        assert_eq!("[::1]:1".parse::<Endpoint>().unwrap().server_name(), "::1");
    }

    #[test]
    fn what_is_no_endpoint_is_a_config_error() {
        for text in [
            "",
            "ftp://a",
            "http://",
            "unix://",
            "a:x",
            "a:0",
            "a:70000",
            "a/b",
            "http://a?b",
            "a b",
            "a:1,b:2",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err().kind(), ErrorKind::Config, "{text:?}");
        }
    }

    #[test]
    fn a_password_in_an_endpoint_is_refused_without_being_repeated() {
        let error = "http://root:hunter2@a:1".parse::<Endpoint>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
