//! From flags to a client.

use etcd_ark::{Client, ClientBuilder, ErrorKind, TlsConfig};

use crate::args::Connection;
use crate::failure::Failure;
use crate::password;

/// A client of the cluster that the flags name; a member has answered, and the password was right.
pub(crate) async fn connect(flags: &Connection) -> Result<Client, Failure> {
    connect_to(flags, &flags.endpoints).await
}

/// A client of the cluster with these endpoints, with everything else as the flags say.
pub(crate) async fn connect_to(flags: &Connection, endpoints: &[String]) -> Result<Client, Failure> {
    reach(builder(flags, endpoints)?).await
}

/// Two clients of the cluster that the flags name, with connections of their own. The first takes no answer that is
/// larger than so many bytes.
pub(crate) async fn connect_apart(
    flags: &Connection,
    max_response_bytes: usize,
) -> Result<(Client, Client), Failure> {
    let builder = builder(flags, &flags.endpoints)?;
    let bounded = builder.clone().max_response_bytes(max_response_bytes);
    Ok((reach(bounded).await?, reach(builder).await?))
}

async fn reach(builder: ClientBuilder) -> Result<Client, Failure> {
    builder.connect().await.map_err(|error| match error.kind() {
        ErrorKind::Unavailable => Failure::from(error).help(UNREACHABLE),
        _ => error.into(),
    })
}

const UNREACHABLE: &str = "check --endpoints, and --cacert, --cert and --key if the servers use TLS";

/// As [`connect`], but nobody has answered yet.
pub(crate) fn connect_lazy(flags: &Connection) -> Result<Client, Failure> {
    Ok(builder(flags, &flags.endpoints)?.connect_lazy()?)
}

fn builder(flags: &Connection, endpoints: &[String]) -> Result<ClientBuilder, Failure> {
    let builder = Client::builder(endpoints)?
        .connect_timeout(flags.dial_timeout)
        .request_timeout(flags.command_timeout);
    let builder = match tls(flags) {
        Some(tls) => builder.tls(tls),
        None => builder,
    };
    Ok(match password::credentials(flags)? {
        Some(credentials) => builder.credentials(credentials),
        None => builder,
    })
}

/// `None` if no flag is about TLS: then endpoints without a scheme are plaintext.
fn tls(flags: &Connection) -> Option<TlsConfig> {
    let mut tls = None;
    if let Some(ca) = &flags.cacert {
        tls = Some(tls.unwrap_or_else(TlsConfig::new).ca_file(ca));
    }
    if let (Some(cert), Some(key)) = (&flags.cert, &flags.key) {
        tls = Some(tls.unwrap_or_else(TlsConfig::new).identity_files(cert, key));
    }
    if flags.insecure_skip_tls_verify {
        tls = Some(tls.unwrap_or_else(TlsConfig::new).dangerous_skip_verification());
    }
    tls
}
