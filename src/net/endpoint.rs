use std::fmt;
use std::str::FromStr;

use http::uri::Authority;

use crate::error::{Error, ErrorKind, Result};

/// etcd's client port.
const DEFAULT_PORT: u16 = 2379;

/// Where a member listens for clients, parsed once.
///
/// Accepted are `host:port`, `http://host:port` and `https://host:port`; a missing port is 2379.
/// Without a scheme, TLS is used if the client was given a TLS configuration.
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
/// Parsing fails with [`ErrorKind::Config`] for another scheme, a path, user information, or a
/// host or port that is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    security: Security,
    host: String,
    port: u16,
}

/// What the scheme says about TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    /// `http://`
    Plaintext,
    /// `https://`
    Tls,
    /// No scheme: TLS if it is configured.
    AsConfigured,
}

impl Security {
    fn scheme(self) -> &'static str {
        match self {
            Self::Plaintext => "http://",
            Self::Tls => "https://",
            Self::AsConfigured => "",
        }
    }
}

impl Endpoint {
    pub(crate) fn security(&self) -> Security {
        self.security
    }

    /// The host without the brackets that a URL puts around an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as it goes into a request.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", self.security.scheme(), self.host, self.port)
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (security, address) = split_scheme(text)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        // User information is refused before anything repeats the text: it could hold a password.
        if address.contains('@') {
            return Err(bad_endpoint("(not shown)", "user and password don't belong into an endpoint"));
        }
        if address.contains(['/', '?', '#']) {
            return Err(bad_endpoint(text, "an endpoint has no path"));
        }
        let authority =
            Authority::from_str(address).map_err(|cause| bad_endpoint(text, &cause.to_string()))?;
        let port =
            port(&authority).ok_or_else(|| bad_endpoint(text, "the port is not a number up to 65535"))?;
        match authority.host() {
            "" => Err(bad_endpoint(text, "the host is missing")),
            host => Ok(Self { security, host: host.to_owned(), port }),
        }
    }
}

fn split_scheme(text: &str) -> Result<(Security, &str)> {
    match text.split_once("://") {
        None => Ok((Security::AsConfigured, text)),
        Some(("http", address)) => Ok((Security::Plaintext, address)),
        Some(("https", address)) => Ok((Security::Tls, address)),
        Some((scheme, _)) => Err(bad_endpoint(scheme, "the scheme is neither http nor https")),
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
        format!("endpoint {text:?}: {why}; give host:port, http://host:port or https://host:port"),
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
    }

    #[test]
    fn an_ipv6_host_is_dialled_without_brackets() {
        assert_eq!("[::1]:1".parse::<Endpoint>().unwrap().host(), "::1");
    }

    #[test]
    fn what_is_no_endpoint_is_a_config_error() {
        for text in ["", "ftp://a", "http://", "a:x", "a:0", "a:70000", "a/b", "http://a?b", "a b", "a:1,b:2"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap_err().kind(), ErrorKind::Config, "{text:?}");
        }
    }

    #[test]
    fn a_password_in_an_endpoint_is_refused_without_being_repeated() {
        let error = "http://root:hunter2@a:1".parse::<Endpoint>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
