use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::{Failure, chain};
use super::socket::Socket;
use crate::error::{Error, ErrorKind, Result};
use crate::util::lock;

/// How to recognise servers and what to show them.
///
/// By default a server's certificate is checked against the machine's own roots, and no client
/// certificate is shown. Files are read when the client is built, and again for each new connection:
/// replaced ones are used from then on. `Debug` shows no key.
///
/// ```no_run
/// use etcd_ark::TlsConfig;
///
/// let tls = TlsConfig::new().ca_file("ca.pem").identity_files("client.pem", "client-key.pem");
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    ca: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
    skip_verification: bool,
}

/// PEM text, or the file that holds it.
#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl TlsConfig {
    /// The machine's roots, no client certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trust the certificates in this PEM file instead of the machine's roots.
    #[must_use]
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Self {
        Self { ca: Some(Pem::File(path.into())), ..self }
    }

    /// Trust these PEM certificates instead of the machine's roots.
    #[must_use]
    pub fn ca_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { ca: Some(Pem::Text(pem.into())), ..self }
    }

    /// Show the client certificate chain in one PEM file, with the key in the other.
    #[must_use]
    pub fn identity_files(self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { identity: Some((Pem::File(certificates.into()), Pem::File(key.into()))), ..self }
    }

    /// Show this PEM client certificate chain, with this PEM key.
    #[must_use]
    pub fn identity_pem(self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { identity: Some((Pem::Text(certificates.into()), Pem::Text(key.into()))), ..self }
    }

    /// Expect this name in the server's certificate instead of the endpoint's host.
    #[must_use]
    pub fn server_name(self, name: impl Into<String>) -> Self {
        Self { server_name: Some(name.into()), ..self }
    }

    /// Accept any server certificate. Whoever sits in between can then read and change everything.
    #[must_use]
    pub fn dangerous_skip_verification(self) -> Self {
        Self { skip_verification: true, ..self }
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("own_ca", &self.ca.is_some())
            .field("client_certificate", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("skip_verification", &self.skip_verification)
            .finish()
    }
}

/// What a configuration's files and texts hold at one moment.
#[derive(Clone, PartialEq, Eq)]
struct Material {
    ca: Option<Source>,
    identity: Option<(Source, Source)>,
}

/// PEM text, and what to call it in an error.
#[derive(Clone, PartialEq, Eq)]
struct Source {
    text: Vec<u8>,
    name: String,
}

impl TlsConfig {
    fn read(&self) -> Result<Material> {
        let ca = self.ca.as_ref().map(|pem| pem.read("CA")).transpose()?;
        let identity = match &self.identity {
            Some((certificates, key)) => {
                Some((certificates.read("client certificate")?, key.read("client key")?))
            }
            None => None,
        };
        Ok(Material { ca, identity })
    }

    fn reads_files(&self) -> bool {
        let pems = self.identity.iter().flat_map(|(certificates, key)| [certificates, key]);
        self.ca.iter().chain(pems).any(|pem| matches!(pem, Pem::File(_)))
    }
}

impl Pem {
    fn read(&self, role: &str) -> Result<Source> {
        match self {
            Self::Text(text) => {
                Ok(Source { text: text.clone(), name: format!("the {role} given as PEM text") })
            }
            Self::File(path) => Ok(Source {
                text: read_file(path, role)?,
                name: format!("the {role} file {}", path.display()),
            }),
        }
    }
}

impl Source {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.text)
            .collect::<Result<_, _>>()
            .map_err(|error| bad_pem(&self.name, error))?;
        if certificates.is_empty() {
            return Err(config_error(format!("{} holds no PEM certificate", self.name)));
        }
        Ok(certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| bad_pem(&self.name, error))
    }
}

fn read_file(path: &Path, role: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        config_error(format!("cannot read the {role} file {}", path.display())).with_source(error)
    })
}

fn bad_pem(name: &str, error: rustls::pki_types::pem::Error) -> Error {
    config_error(format!("{name} is no usable PEM")).with_source(error)
}

fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Shakes hands with servers as the configuration says.
pub(crate) struct TlsDialer {
    config: Arc<TlsConfig>,
    server_name: Option<ServerName<'static>>,
    loaded: Mutex<Loaded>,
}

/// A connector, and what it was made of.
#[derive(Clone)]
struct Loaded {
    material: Material,
    connector: TlsConnector,
}

impl Loaded {
    fn new(material: Material, skip_verification: bool) -> Result<Self> {
        let config = client_config(&material, skip_verification)?;
        Ok(Self { material, connector: TlsConnector::from(Arc::new(config)) })
    }
}

impl TlsDialer {
    pub(crate) fn new(config: &TlsConfig) -> Result<Self> {
        let loaded = Loaded::new(config.read()?, config.skip_verification)?;
        let server_name = config.server_name.as_deref().map(parse_server_name).transpose()?;
        Ok(Self { config: Arc::new(config.clone()), server_name, loaded: Mutex::new(loaded) })
    }

    pub(crate) async fn handshake(&self, host: &str, socket: Socket) -> Result<TlsStream<Socket>, Failure> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|e| Failure::Dial(chain(&e)))?,
        };
        let connector = self.connector().await;
        connector.connect(name, socket).await.map_err(|error| Failure::Dial(explain(&chain(&error))))
    }

    /// The connector for the files as they are now. While they can't be used, as when they are being
    /// replaced, the last good ones serve on.
    ///
    /// New files make a new configuration: one that was changed in place would resume sessions of
    /// the old identity.
    async fn connector(&self) -> TlsConnector {
        let loaded = lock(&self.loaded).clone();
        if !self.config.reads_files() {
            return loaded.connector;
        }
        let config = Arc::clone(&self.config);
        let fresh = spawn_blocking(move || match config.read() {
            Ok(material) if material != loaded.material => {
                Loaded::new(material, config.skip_verification).ok()
            }
            _ => None,
        });
        let fresh = fresh.await.ok().flatten();
        let mut current = lock(&self.loaded);
        if let Some(fresh) = fresh {
            *current = fresh;
        }
        current.connector.clone()
    }
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDialer").field("config", &self.config).finish_non_exhaustive()
    }
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(name.to_owned())
        .map_err(|error| config_error(format!("{name:?} is no server name")).with_source(error))
}

/// The handshake's error, and what it usually means.
fn explain(cause: &str) -> String {
    let not_tls = ["InvalidContentType", "handshake eof", "Connection reset"];
    let advice = if not_tls.iter().any(|sign| cause.contains(sign)) {
        "; does the server speak TLS here? If not, use http://"
    } else if cause.contains("UnknownIssuer") || cause.contains("BadSignature") {
        "; the server's certificate is not signed by the CA given"
    } else if cause.contains("not valid for name") {
        "; check the endpoint's host, or give the server name to expect"
    } else {
        ""
    };
    format!("TLS: {cause}{advice}")
}

fn client_config(material: &Material, skip_verification: bool) -> Result<ClientConfig> {
    // A library must not set the process-wide provider, nor depend on who has.
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if skip_verification {
        Arc::new(AnyCertificate(Arc::clone(&provider)))
    } else {
        verifier(material, &provider)?
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| config_error("TLS can't be set up").with_source(error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut tls = match &material.identity {
        None => builder.with_no_client_auth(),
        Some((certificates, key)) => builder
            .with_client_auth_cert(certificates.certificates()?, key.key()?)
            .map_err(|error| config_error("the client certificate and key don't fit").with_source(error))?,
    };
    // etcd answers HTTP/1 to a client that does not ask for HTTP/2 in the handshake.
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn verifier(material: &Material, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots(material)?), Arc::clone(provider))
        .build()
        .map_err(|error| config_error("there is no CA to trust: give one").with_source(error))
}

fn roots(material: &Material) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match &material.ca {
        // A machine's store may hold certificates that rustls does not take; the others still count.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        Some(ca) => {
            for certificate in ca.certificates()? {
                roots
                    .add(certificate)
                    .map_err(|error| config_error("a CA can't be used").with_source(error))?;
            }
        }
    }
    Ok(roots)
}

/// Takes any certificate, but still makes the server prove that it holds the key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_pem_is_named_at_the_start() {
        for text in ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = TlsDialer::new(&TlsConfig::new().ca_pem(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text:?}: {error}");
        }
        let error = TlsDialer::new(&TlsConfig::new().ca_file("/nowhere/ca.pem")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }

    #[test]
    fn a_key_never_shows() {
        let config = TlsConfig::new().identity_pem("cert", "hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
