//! Opening archives that may be encrypted, and encrypting them. Secrets come from files, never from arguments.

use std::path::Path;

use etcd_ark::backup::{ArchiveFile, Backup, Import, Progress, Restore, SalvagedFile};
#[cfg(feature = "encrypt")]
use etcd_ark::backup::{Encryption, Identities};
use etcd_ark::{Error, ErrorKind};

use super::stdin;
use crate::args::{Encrypt, Unlock};
use crate::failure::{Exit, Failure};

/// What to do about an archive that is encrypted.
pub(super) const ADVICE: &str = if cfg!(feature = "encrypt") {
    "name the right files with --identity or --passphrase-file"
} else {
    "decrypt it first, as by age -d; or install ark with --features encrypt"
};

/// Opens an archive; - is what comes through standard input.
#[cfg(not(feature = "encrypt"))]
pub(super) async fn open(path: &Path, _: &Unlock) -> Result<ArchiveFile, Failure> {
    let opened = match stdin::is_meant(path) {
        true => ArchiveFile::from_reader(stdin::spooled().await?).await,
        false => ArchiveFile::open(path).await,
    };
    opened.map_err(not_opened)
}

/// Opens an archive; - is what comes through standard input.
#[cfg(feature = "encrypt")]
pub(super) async fn open(path: &Path, unlock: &Unlock) -> Result<ArchiveFile, Failure> {
    let identities = identities(unlock)?;
    let opened = match stdin::is_meant(path) {
        true => ArchiveFile::from_reader_with(stdin::spooled().await?, &identities).await,
        false => ArchiveFile::open_with(path, &identities).await,
    };
    opened.map_err(not_opened)
}

/// Finds what is left of a damaged archive; - is what comes through standard input.
#[cfg(not(feature = "encrypt"))]
pub(super) async fn salvage(
    path: &Path,
    _: &Unlock,
    observe: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<SalvagedFile, Failure> {
    let found = match stdin::is_meant(path) {
        true => SalvagedFile::from_reader_observed(stdin::spooled().await?, observe).await,
        false => SalvagedFile::open_observed(path, observe).await,
    };
    found.map_err(not_opened)
}

/// Finds what is left of a damaged archive; - is what comes through standard input.
#[cfg(feature = "encrypt")]
pub(super) async fn salvage(
    path: &Path,
    unlock: &Unlock,
    observe: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<SalvagedFile, Failure> {
    let identities = identities(unlock)?;
    let found = match stdin::is_meant(path) {
        true => SalvagedFile::from_reader_with(stdin::spooled().await?, &identities, observe).await,
        false => SalvagedFile::open_with(path, &identities, observe).await,
    };
    found.map_err(not_opened)
}

#[cfg(feature = "encrypt")]
fn identities(unlock: &Unlock) -> Result<Identities, Failure> {
    let mut identities = Identities::new();
    for file in &unlock.identities {
        let content = secret::read(file)?;
        identities = identities.file(&content).map_err(|error| secret::about(file, &error))?;
    }
    if let Some(file) = &unlock.passphrase_file {
        identities = identities.passphrase(secret::first_line(file)?);
    }
    Ok(identities)
}

#[cfg(not(feature = "encrypt"))]
pub(super) fn undo_encrypted(restore: Restore, _: &Unlock) -> Result<Restore, Failure> {
    Ok(restore)
}

/// What is saved for undo holds values too: whatever opens the archive opens it, and nothing else.
#[cfg(feature = "encrypt")]
pub(super) fn undo_encrypted(restore: Restore, unlock: &Unlock) -> Result<Restore, Failure> {
    let encryption = identities(unlock)?.encryption();
    Ok(encryption.into_iter().fold(restore, Restore::encrypt_undo))
}

fn not_opened(error: Error) -> Failure {
    match error.kind() {
        // Not about users of etcd, which the usual help is for.
        ErrorKind::Auth => Failure::new(Exit::Auth, error.to_string()).help(ADVICE),
        _ => error.into(),
    }
}

#[cfg(not(feature = "encrypt"))]
pub(super) fn encrypted(backup: Backup, _: &Encrypt) -> Result<Backup, Failure> {
    Ok(backup)
}

#[cfg(not(feature = "encrypt"))]
pub(super) fn encrypted_import(import: Import, _: &Encrypt) -> Result<Import, Failure> {
    Ok(import)
}

#[cfg(not(feature = "encrypt"))]
pub(super) fn copy_undo_encrypted(restore: Restore, _: &Encrypt) -> Result<Restore, Failure> {
    Ok(restore)
}

#[cfg(feature = "encrypt")]
pub(super) fn copy_undo_encrypted(restore: Restore, encrypt: &Encrypt) -> Result<Restore, Failure> {
    Ok(encryption(encrypt)?.into_iter().fold(restore, Restore::encrypt_undo))
}

#[cfg(feature = "encrypt")]
pub(super) fn encrypted(backup: Backup, encrypt: &Encrypt) -> Result<Backup, Failure> {
    Ok(match encryption(encrypt)? {
        Some(encryption) => backup.encrypt(encryption),
        None => backup,
    })
}

#[cfg(feature = "encrypt")]
pub(super) fn encrypted_import(import: Import, encrypt: &Encrypt) -> Result<Import, Failure> {
    Ok(match encryption(encrypt)? {
        Some(encryption) => import.encrypt(encryption),
        None => import,
    })
}

#[cfg(feature = "encrypt")]
fn encryption(encrypt: &Encrypt) -> Result<Option<Encryption>, Failure> {
    match &encrypt.passphrase_file {
        Some(file) => Ok(Some(Encryption::with_passphrase(secret::first_line(file)?))),
        None if encrypt.recipients.is_empty() => Ok(None),
        None => Ok(Some(Encryption::to_recipients(&encrypt.recipients)?)),
    }
}

#[cfg(feature = "encrypt")]
mod secret {
    use super::{Failure, Path};

    pub(super) fn read(file: &Path) -> Result<String, Failure> {
        std::fs::read_to_string(file).map_err(|error| about(file, &error))
    }

    pub(super) fn first_line(file: &Path) -> Result<String, Failure> {
        let content = read(file)?;
        match content.lines().next() {
            Some(line) if !line.is_empty() => Ok(line.to_owned()),
            _ => Err(Failure::usage(format!("{}: the first line is empty", file.display()))),
        }
    }

    pub(super) fn about(file: &Path, error: &dyn std::error::Error) -> Failure {
        Failure::usage(format!("{}: {error}", file.display()))
    }
}
