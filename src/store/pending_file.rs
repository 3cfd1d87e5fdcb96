use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tempfile::{NamedTempFile, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tokio::task::spawn_blocking;

use crate::error::{Error, ErrorKind, Result};

/// A file that has its name only once it is complete and on disk.
///
/// Until [`PendingFile::commit`] it is written under another name in the same folder, and removed if
/// dropped. An existing file is never overwritten. Readable by its owner only. Not buffered: write
/// in large pieces.
#[derive(Debug)]
pub struct PendingFile {
    path: PathBuf,
    temporary: TempPath,
    file: File,
}

impl PendingFile {
    /// Begins a file that is to have this path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if there is something of that name, [`ErrorKind::Io`] if the folder
    /// is missing or can't be written.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let begun = path.clone();
        let temporary =
            blocking(move || begin(&begun)).await.map_err(|error| io_error("create", &path, error))?;
        let (file, temporary) = temporary.into_parts();
        Ok(Self { path, temporary, file: File::from_std(file) })
    }

    /// Empties the file, to be written afresh.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the disk fails.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the file is then of no use.
    pub async fn clear(&mut self) -> Result<()> {
        let cleared = async {
            // Writes that are still under way would land in the emptied file.
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.rewind().await.map(drop)
        };
        cleared.await.map_err(|error| io_error("write", &self.path, error))
    }

    /// Makes the file durable and gives it its name, durably too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] if something of that name has come into being, [`ErrorKind::Io`] if
    /// the disk fails. The file is then gone.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the file may or may not have its name; it is complete if it has.
    pub async fn commit(mut self) -> Result<()> {
        let path = self.path.clone();
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await
        };
        synced.await.map_err(|error| io_error("write", &path, error))?;
        let (temporary, target) = (self.temporary, self.path);
        blocking(move || publish(temporary, &target)).await.map_err(|error| io_error("create", &path, error))
    }
}

/// Refuses an existing file before anything is done; [`publish`] makes sure of it.
fn begin(path: &Path) -> io::Result<NamedTempFile> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".part").tempfile_in(folder(path))
}

fn publish(temporary: TempPath, path: &Path) -> io::Result<()> {
    temporary.persist_noclobber(path).map_err(|error| error.error)?;
    // The name is an entry of the folder: it survives a power cut once that is on disk.
    std::fs::File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

fn io_error(doing: &str, path: &Path, error: io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::AlreadyExists, format!("{shown} exists; choose another name or remove it"))
        }
        io::ErrorKind::NotFound => Error::new(
            ErrorKind::Io,
            format!("cannot {doing} {shown}: its folder does not exist; create it first"),
        ),
        _ => Error::new(ErrorKind::Io, format!("cannot {doing} {shown}")).with_source(error),
    }
}

impl AsyncWrite for PendingFile {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.file).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[tokio::test]
    async fn a_file_has_its_name_only_after_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut file = PendingFile::create(&path).await.unwrap();
        file.write_all(b"content").await.unwrap();
        assert!(!path.exists());
        file.commit().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(entries(folder.path()), ["out"]);
    }

    #[tokio::test]
    async fn a_cleared_file_holds_only_what_is_written_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut file = PendingFile::create(&path).await.unwrap();
        file.write_all(&[b'x'; 100_000]).await.unwrap();
        file.clear().await.unwrap();
        file.write_all(b"afresh").await.unwrap();
        file.commit().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"afresh");
    }

    #[tokio::test]
    async fn a_dropped_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = PendingFile::create(folder.path().join("out")).await.unwrap();
        file.write_all(b"content").await.unwrap();
        drop(file);
        assert!(entries(folder.path()).is_empty());
    }

    #[tokio::test]
    async fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let late = PendingFile::create(&path).await.unwrap();
        std::fs::write(&path, "precious").unwrap();
        let error = PendingFile::create(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(late.commit().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert_eq!(entries(folder.path()), ["out"]);
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let error = PendingFile::create("/nowhere/at/all/out").await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Io && error.to_string().contains("/nowhere/at/all/out"),
            "{error}"
        );
    }
}
