//! What is inside an encrypted file, read in any order.
//!
//! The age format encrypts chunk by chunk. Of a damaged file a salvage reads every chunk that is whole; zeros stand for the
//! others, which no frame consists of.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use age::stream::StreamReader;

use super::crypt::Identities;
use super::source::ReadSeek;
use crate::error::Result;
use crate::util::lock;

/// What is encrypted at once.
const CHUNK_BYTES: u64 = 64 << 10;
/// Trying a passphrase takes a second, and is done anew behind every hole.
const MAX_HOLES: u32 = 1000;

/// The file itself, which outlives the streams that decrypt it.
#[derive(Clone)]
pub(super) struct Sealed(Arc<Mutex<Box<dyn ReadSeek>>>);

impl Sealed {
    pub(super) fn new(reader: impl ReadSeek + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(reader))))
    }
}

impl Read for Sealed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        lock(&self.0).read(buf)
    }
}

impl Seek for Sealed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        lock(&self.0).seek(to)
    }
}

pub(super) struct Decrypted {
    sealed: Sealed,
    identities: Identities,
    stream: StreamReader<Sealed>,
    /// Where the next byte is read.
    at: u64,
    /// Where the content ends, once that is known. The stream can't be asked for what lies behind.
    end: Option<u64>,
    /// Whether to go on behind damage, and how often that was done.
    mends: Option<u32>,
    /// Until here it is all zeros.
    hole_until: u64,
}

impl Decrypted {
    /// Refuses damage where it is met.
    pub(super) fn open(sealed: Sealed, identities: &Identities) -> Result<Self> {
        let mut whole = Self::begin(sealed, identities, None)?;
        let end = whole.stream.seek(SeekFrom::End(0)).map_err(super::verify::cannot_read)?;
        whole.end = Some(end);
        whole.go_to(0).map_err(super::verify::cannot_read)?;
        Ok(whole)
    }

    /// Goes on behind damage.
    pub(super) fn mended(sealed: Sealed, identities: &Identities) -> Result<Self> {
        Self::begin(sealed, identities, Some(0))
    }

    fn begin(sealed: Sealed, identities: &Identities, mends: Option<u32>) -> Result<Self> {
        let stream = identities.decrypt(sealed.clone())?;
        let identities = identities.clone();
        Ok(Self { sealed, identities, stream, at: 0, end: None, mends, hole_until: 0 })
    }

    /// Where a chunk begins, the stream asks for the end of the file first, which may be damaged; one byte further
    /// on it does not.
    fn go_to(&mut self, target: u64) -> io::Result<()> {
        let known_end = self.end.is_some_and(|end| target >= end);
        if target.is_multiple_of(CHUNK_BYTES) && !known_end {
            self.stream.seek(SeekFrom::Start(target + 1))?;
        }
        self.stream.seek(SeekFrom::Start(target)).map(drop)
    }

    /// What to do about an error that the stream gave; it can't be used any more.
    fn mend(&mut self, error: io::Error) -> io::Result<()> {
        let Some(holes) = self.mends.filter(|holes| *holes < MAX_HOLES) else { return Err(error) };
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.end = Some(self.at),
            io::ErrorKind::InvalidData => self.hole_until = self.at - self.at % CHUNK_BYTES + CHUNK_BYTES,
            _ => return Err(error),
        }
        self.mends = Some(holes + 1);
        self.sealed.rewind()?;
        self.stream = self.identities.decrypt(self.sealed.clone()).map_err(io::Error::other)?;
        Ok(())
    }

    fn zeros(&mut self, buf: &mut [u8]) -> usize {
        let left = usize::try_from(self.hole_until - self.at).unwrap_or(usize::MAX).min(buf.len());
        buf.iter_mut().take(left).for_each(|byte| *byte = 0);
        self.at += left as u64;
        left
    }

    /// Takes the stream to where the next byte is.
    fn catch_up(&mut self) -> io::Result<()> {
        match self.go_to(self.at) {
            Ok(()) => Ok(()),
            Err(error) => self.mend(error),
        }
    }
}

impl Read for Decrypted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if buf.is_empty() || self.end.is_some_and(|end| self.at >= end) {
                return Ok(0);
            }
            if self.at < self.hole_until {
                let zeros = self.zeros(buf);
                if self.at == self.hole_until {
                    self.catch_up()?;
                }
                return Ok(zeros);
            }
            match self.stream.read(buf) {
                Ok(read) => {
                    self.at += read as u64;
                    return Ok(read);
                }
                Err(error) => self.mend(error)?,
            }
        }
    }
}

impl Seek for Decrypted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let from = |base: Option<u64>, by| base.and_then(|base| base.checked_add_signed(by));
        let target = match to {
            SeekFrom::Start(target) => Some(target),
            SeekFrom::Current(by) => from(Some(self.at), by),
            SeekFrom::End(by) => from(self.end, by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.hole_until = 0;
        if self.end.is_none_or(|end| self.at < end) {
            self.catch_up()?;
        }
        Ok(self.at)
    }
}
