//! A certificate authority for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// A CA, a certificate for servers on this machine, and clients' certificates on demand; all as PEM files in
/// a folder that goes with the last clone. Two bundles are strangers: `Tls::new()` once more is a wrong CA.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Bundle>);

#[derive(Debug)]
struct Bundle {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
    server: Identity,
    root: Identity,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    /// A CA of its own.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("etcd-ark-tls-").tempdir().expect("a temporary folder");
        let ca = authority();
        fs::write(folder.path().join("ca.pem"), ca.pem()).expect("a PEM file");
        let server = issue(&ca, folder.path(), "server");
        let root = issue(&ca, folder.path(), "root");
        Self(Arc::new(Bundle { folder, ca, server, root }))
    }

    /// The CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.0.folder.path().join("ca.pem")
    }

    /// A client's certificate with this common name, which etcd takes for the user's name.
    pub fn client(&self, common_name: &str) -> Identity {
        issue(&self.0.ca, self.0.folder.path(), common_name)
    }

    pub(super) fn server(&self) -> &Identity {
        &self.0.server
    }

    /// Whom etcdctl comes as.
    pub(super) fn root(&self) -> &Identity {
        &self.0.root
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params("etcd-ark test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// For both ends: etcd's gateway comes to its own server with the server's certificate.
fn issue(ca: &CertifiedIssuer<'static, KeyPair>, folder: &Path, common_name: &str) -> Identity {
    let mut params = params(common_name);
    params.extended_key_usages = vec![ServerAuth, ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let cert = params.signed_by(&key, ca).expect("a certificate");
    let file = |suffix| folder.join(format!("{common_name}{suffix}"));
    let identity = Identity { cert: file(".pem"), key: file(".key") };
    fs::write(&identity.cert, cert.pem()).expect("a PEM file");
    fs::write(&identity.key, key.serialize_pem()).expect("a PEM file");
    identity
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
