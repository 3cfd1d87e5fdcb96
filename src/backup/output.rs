use tokio::io::{AsyncWrite, AsyncWriteExt};

#[cfg(feature = "encrypt")]
use super::crypt::{Encryption, Sealer};
use crate::error::{Error, ErrorKind, Result};

/// Where an archive is written to, encrypted or as it is.
pub(super) struct Output<'w, W> {
    writer: &'w mut W,
    #[cfg(feature = "encrypt")]
    sealer: Option<Sealer>,
}

impl<'w, W: AsyncWrite + Unpin> Output<'w, W> {
    pub(super) fn new(writer: &'w mut W) -> Self {
        Self {
            writer,
            #[cfg(feature = "encrypt")]
            sealer: None,
        }
    }

    #[cfg(feature = "encrypt")]
    pub(super) fn encrypted(self, encryption: Option<&Encryption>) -> Result<Self> {
        Ok(Self { sealer: encryption.map(Sealer::new).transpose()?, ..self })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        #[cfg(feature = "encrypt")]
        if let Some(sealer) = &mut self.sealer {
            let sealed = sealer.seal(bytes)?;
            return self.writer.write_all(&sealed).await.map_err(cannot_write);
        }
        self.writer.write_all(bytes).await.map_err(cannot_write)
    }

    pub(super) async fn finish(self) -> Result<()> {
        #[cfg(feature = "encrypt")]
        if let Some(sealer) = self.sealer {
            self.writer.write_all(&sealer.finish()?).await.map_err(cannot_write)?;
        }
        self.writer.flush().await.map_err(cannot_write)
    }
}

pub(super) fn cannot_write(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write the archive").with_source(error)
}
