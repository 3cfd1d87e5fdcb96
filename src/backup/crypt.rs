//! Archives inside the age format, which other tools open too. Here the whole file is encrypted: what is outside
//! tells how long it is and to how many recipients it was encrypted, or that it was to a passphrase.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use age::secrecy::{ExposeSecret, SecretString};
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};

use super::decrypted::{Decrypted, Sealed};
use super::source::ReadSeek;
use crate::archive::AGE_MAGIC;
use crate::error::{Error, ErrorKind, Result};
use crate::util::lock;

/// Who can read an encrypted archive. Whoever makes a backup for recipients holds no secret.
#[derive(Clone)]
pub struct Encryption(To);

#[derive(Clone)]
enum To {
    Recipients(Vec<x25519::Recipient>),
    Passphrase(SecretString),
}

impl Encryption {
    /// For recipients, each written `age1…`: the owner of any one of their identities can read the archive.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is none, or one is not written so.
    pub fn to_recipients<I>(recipients: I) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let parsed: Vec<_> =
            recipients.into_iter().map(|text| parse_recipient(text.as_ref())).collect::<Result<_>>()?;
        if parsed.is_empty() {
            return Err(Error::new(ErrorKind::Config, "an archive can't be encrypted to nobody"));
        }
        Ok(Self(To::Recipients(parsed)))
    }

    /// For whoever knows the passphrase.
    #[must_use]
    pub fn with_passphrase(passphrase: impl Into<String>) -> Self {
        Self(To::Passphrase(passphrase.into().into()))
    }

    fn encryptor(&self) -> Result<Encryptor> {
        match &self.0 {
            To::Recipients(recipients) => {
                let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
                Encryptor::with_recipients(recipients).map_err(|error| {
                    Error::new(ErrorKind::Config, "can't encrypt to these recipients").with_source(error)
                })
            }
            To::Passphrase(passphrase) => Ok(Encryptor::with_user_passphrase(passphrase.clone())),
        }
    }
}

fn parse_recipient(text: &str) -> Result<x25519::Recipient> {
    x25519::Recipient::from_str(text).map_err(|reason| {
        Error::new(ErrorKind::Config, format!("{text} is no recipient, which is written age1…: {reason}"))
    })
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            To::Recipients(recipients) => write!(f, "Encryption({recipients:?})"),
            To::Passphrase(_) => f.write_str("Encryption([redacted])"),
        }
    }
}

/// What opens encrypted archives: identities, or passphrases.
#[derive(Clone, Default)]
pub struct Identities(Vec<Key>);

#[derive(Clone)]
enum Key {
    Identity(x25519::Identity),
    Passphrase(SecretString),
}

impl Identities {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds those of an identity file: lines that begin with `AGE-SECRET-KEY-1`; empty lines and those that
    /// begin with `#` are skipped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if another line is in it, or none. The error holds nothing of it.
    pub fn file(mut self, content: &str) -> Result<Self> {
        let before = self.0.len();
        for (number, line) in content.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let identity = x25519::Identity::from_str(line);
            let identity = identity
                .map_err(|_| Error::new(ErrorKind::Config, format!("line {} is no identity", number + 1)))?;
            self.0.push(Key::Identity(identity));
        }
        if self.0.len() == before {
            return Err(Error::new(ErrorKind::Config, "there is no identity in the file"));
        }
        Ok(self)
    }

    /// Adds a passphrase.
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl Into<String>) -> Self {
        self.0.push(Key::Passphrase(passphrase.into().into()));
        self
    }

    /// What can be opened with these: to the identities' recipients, or to the first passphrase if there is no identity.
    /// `None` if there is nothing.
    #[must_use]
    pub fn encryption(&self) -> Option<Encryption> {
        let recipients = self.0.iter().filter_map(|key| match key {
            Key::Identity(identity) => Some(identity.to_public()),
            Key::Passphrase(_) => None,
        });
        let recipients: Vec<_> = recipients.collect();
        if !recipients.is_empty() {
            return Some(Encryption(To::Recipients(recipients)));
        }
        self.0.iter().find_map(|key| match key {
            Key::Passphrase(passphrase) => Some(Encryption(To::Passphrase(passphrase.clone()))),
            Key::Identity(_) => None,
        })
    }

    /// What the archive holds, if it is encrypted; otherwise the archive itself. Blocking.
    pub(super) fn open(&self, mut reader: impl ReadSeek + 'static) -> Result<Box<dyn ReadSeek>> {
        if !is_encrypted(&mut reader).map_err(super::verify::cannot_read)? {
            return Ok(Box::new(reader));
        }
        Ok(Box::new(Decrypted::open(Sealed::new(reader), self)?))
    }

    /// The same of a file that may be damaged. Blocking.
    pub(super) fn open_damaged(&self, mut reader: impl ReadSeek + 'static) -> Result<Box<dyn ReadSeek>> {
        if !is_encrypted(&mut reader).map_err(super::verify::cannot_read)? {
            return Ok(Box::new(reader));
        }
        Ok(Box::new(Decrypted::mended(Sealed::new(reader), self)?))
    }

    pub(super) fn decrypt(&self, sealed: Sealed) -> Result<StreamReader<Sealed>> {
        let decryptor = Decryptor::new(sealed).map_err(not_opened)?;
        let keys: Vec<Box<dyn age::Identity>> = self.0.iter().map(Key::to_age).collect();
        decryptor.decrypt(keys.iter().map(|key| &**key)).map_err(not_opened)
    }
}

impl Key {
    fn to_age(&self) -> Box<dyn age::Identity> {
        match self {
            Self::Identity(identity) => Box::new(identity.clone()),
            Self::Passphrase(passphrase) => Box::new(scrypt::Identity::new(passphrase.clone())),
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({} of them, [redacted])", self.0.len())
    }
}

fn is_encrypted(reader: &mut impl ReadSeek) -> io::Result<bool> {
    let mut start = Vec::new();
    (&mut *reader).take(AGE_MAGIC.len() as u64).read_to_end(&mut start)?;
    reader.rewind()?;
    Ok(start == AGE_MAGIC)
}

fn not_opened(error: DecryptError) -> Error {
    let (kind, message) = match error {
        DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            (ErrorKind::Auth, "no identity or passphrase that was given opens the archive")
        }
        DecryptError::ExcessiveWork { .. } => {
            (ErrorKind::Unsupported, "the passphrase of the archive takes too much work to try")
        }
        DecryptError::Io(_) => {
            (ErrorKind::Corrupt, "the archive's encryption is damaged, or the file is cut")
        }
        _ => (ErrorKind::Corrupt, "the archive's encryption is damaged"),
    };
    Error::new(kind, message).with_source(error)
}

/// A new identity, as a file's content, and its recipient.
#[must_use]
pub fn generate_identity() -> (String, String) {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    (format!("# public key: {recipient}\n{}\n", secret.expose_secret()), recipient)
}

/// Encrypts what is written, piece by piece.
pub(super) struct Sealer {
    stream: StreamWriter<Buffer>,
    sealed: Buffer,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Sealer {
    pub(super) fn new(encryption: &Encryption) -> Result<Self> {
        let sealed = Buffer::default();
        let stream =
            encryption.encryptor()?.wrap_output(sealed.clone()).map_err(super::output::cannot_write)?;
        Ok(Self { stream, sealed })
    }

    /// Takes the next bytes, and gives what is ready to be written.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(bytes).map_err(super::output::cannot_write)?;
        Ok(self.sealed.take())
    }

    /// What is left.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        self.stream.finish().map_err(super::output::cannot_write)?;
        Ok(self.sealed.take())
    }
}
