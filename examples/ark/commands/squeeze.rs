//! Compression of a stream, piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use zstd::stream::write::Encoder;

/// The fastest level: the stream is not to wait for it.
const LEVEL: i32 = 1;

/// What becomes of the bytes of a stream.
pub(super) enum Squeeze {
    None,
    Zstd(Encoder<'static, Vec<u8>>),
}

impl Squeeze {
    pub(super) fn zstd() -> io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        // Damage on the disk is found by whoever decompresses.
        encoder.include_checksum(true)?;
        Ok(Self::Zstd(encoder))
    }

    /// Takes the next bytes, and gives what is ready to be written.
    pub(super) fn take(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        match self {
            Self::None => Ok(bytes),
            Self::Zstd(encoder) => {
                encoder.write_all(&bytes)?;
                Ok(std::mem::take(encoder.get_mut()).into())
            }
        }
    }

    /// What is left.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        match self {
            Self::None => Ok(Bytes::new()),
            Self::Zstd(encoder) => encoder.finish().map(Bytes::from),
        }
    }
}
