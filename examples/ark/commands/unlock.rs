//! Opening archives that may be encrypted, and encrypting them. Secrets come from files, never from arguments.

use std::path::Path;

#[cfg(feature = "encrypt")]
use etcd_ark::ErrorKind;
use etcd_ark::backup::{ArchiveFile, Backup, Restore};

use crate::args::{Encrypt, Unlock};
#[cfg(feature = "encrypt")]
use crate::failure::Exit;
use crate::failure::Failure;

#[cfg(not(feature = "encrypt"))]
pub(super) async fn open(path: &Path, _: &Unlock) -> Result<ArchiveFile, Failure> {
    Ok(ArchiveFile::open(path).await?)
}

#[cfg(feature = "encrypt")]
fn identities(unlock: &Unlock) -> Result<etcd_ark::backup::Identities, Failure> {
    let mut identities = etcd_ark::backup::Identities::new();
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

#[cfg(feature = "encrypt")]
pub(super) async fn open(path: &Path, unlock: &Unlock) -> Result<ArchiveFile, Failure> {
    ArchiveFile::open_with(path, &identities(unlock)?).await.map_err(|error| match error.kind() {
        // Not about users of etcd, which the usual help is for.
        ErrorKind::Auth => Failure::new(Exit::Auth, error.to_string())
            .help("name the right files with --identity or --passphrase-file"),
        _ => error.into(),
    })
}

#[cfg(not(feature = "encrypt"))]
pub(super) fn encrypted(backup: Backup, _: &Encrypt) -> Result<Backup, Failure> {
    Ok(backup)
}

#[cfg(feature = "encrypt")]
pub(super) fn encrypted(backup: Backup, encrypt: &Encrypt) -> Result<Backup, Failure> {
    use etcd_ark::backup::Encryption;
    match &encrypt.passphrase_file {
        Some(file) => Ok(backup.encrypt(Encryption::with_passphrase(secret::first_line(file)?))),
        None if encrypt.recipients.is_empty() => Ok(backup),
        None => Ok(backup.encrypt(Encryption::to_recipients(&encrypt.recipients)?)),
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
