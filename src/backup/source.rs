use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::task::spawn_blocking;

#[cfg(feature = "encrypt")]
use super::crypt::Identities;
use super::verify::cannot_read;
use crate::error::{Error, ErrorKind, Result};
use crate::util::lock;

/// Most reads ask for no more: a buffer of that length need not grow.
const COMMON_BYTES: u64 = 1 << 20;

/// What an archive can be read from in any order.
pub(super) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// The bytes of an archive, read in any order, on threads that may wait for a disk.
#[derive(Clone)]
pub(super) struct Source {
    name: String,
    reader: Arc<Mutex<Box<dyn ReadSeek>>>,
}

impl Source {
    pub(super) async fn open(path: PathBuf) -> Result<Self> {
        let name = path.display().to_string();
        let opened = blocking(move || File::open(path)).await;
        let file = opened
            .map_err(|error| Error::new(ErrorKind::Io, format!("cannot open {name}")).with_source(error))?;
        Ok(Self::new(name, file))
    }

    /// What is inside, if it is encrypted. Trying a passphrase takes a second of work, by design.
    #[cfg(feature = "encrypt")]
    pub(super) async fn decrypted(self, identities: &Identities) -> Result<Self> {
        let identities = identities.clone();
        self.inside(move |reader| identities.open(reader)).await
    }

    /// The same of a file that may be damaged: what can't be decrypted is zeros.
    #[cfg(feature = "encrypt")]
    pub(super) async fn decrypted_as_far_as_it_is(self, identities: &Identities) -> Result<Self> {
        let identities = identities.clone();
        self.inside(move |reader| identities.open_damaged(reader)).await
    }

    #[cfg(feature = "encrypt")]
    async fn inside(
        self,
        open: impl FnOnce(Box<dyn ReadSeek>) -> Result<Box<dyn ReadSeek>> + Send + 'static,
    ) -> Result<Self> {
        let Self { name, reader } = self;
        let opened = spawn_blocking(move || {
            let reader = Arc::into_inner(reader).and_then(|reader| reader.into_inner().ok());
            open(reader.ok_or_else(|| Error::new(ErrorKind::Io, "the file is in use"))?)
        });
        let opened = opened.await.map_err(|panic| cannot_read(io::Error::other(panic)))?;
        let reader = opened.map_err(|error| error.context(&name))?;
        Ok(Self { name, reader: Arc::new(Mutex::new(reader)) })
    }

    pub(super) fn new(name: impl Into<String>, reader: impl ReadSeek + 'static) -> Self {
        Self { name: name.into(), reader: Arc::new(Mutex::new(Box::new(reader))) }
    }

    /// What to call it in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn len(&self) -> Result<u64> {
        self.with(|reader| reader.seek(SeekFrom::End(0))).await
    }

    /// The bytes of a span; fewer if the source ends before, which parsing tells.
    ///
    /// Memory grows with what is read, not with what a damaged index claims.
    pub(super) async fn read(&self, span: Range<u64>) -> Result<Bytes> {
        let read = move |reader: &mut dyn ReadSeek| {
            let len = span.end.saturating_sub(span.start);
            let mut bytes = Vec::with_capacity(len.min(COMMON_BYTES) as usize);
            match reader.seek(SeekFrom::Start(span.start)) {
                // A decrypted source can't seek beyond its end, as a file can.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Bytes::new()),
                sought => sought?,
            };
            reader.take(len).read_to_end(&mut bytes)?;
            Ok(bytes.into())
        };
        self.with(read).await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn ReadSeek) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let reader = Arc::clone(&self.reader);
        let outcome = blocking(move || work(&mut **lock(&reader))).await;
        outcome.map_err(|error| cannot_read(error).context(&self.name))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
