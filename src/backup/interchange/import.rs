use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::task::spawn_blocking;

use super::TextFormat;
use super::gather::gather;
use super::json_lines::EndLine;
use super::sorter::Sorted;
use crate::archive::{BackupOption, Compression, Cutter, Encoder, Header, Options, SealedBlock, Summary};
#[cfg(feature = "encrypt")]
use crate::backup::crypt::Encryption;
use crate::backup::output::Output;
use crate::error::{Error, ErrorKind, Result};
use crate::store::PendingFile;
use crate::types::{ClusterId, KeyRange, MemberId, Revision};

const READ_BYTES: usize = 1 << 20;

/// Makes an archive out of text; every tool for archives then works on it.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::backup::{Import, TextFormat};
///
/// let text = std::fs::File::open("shield-backup").unwrap();
/// let report = Import::new(TextFormat::Shield).save(text, "shield.ark").await?;
/// println!("{} keys", report.summary.records);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Import {
    format: TextFormat,
    range: Option<KeyRange>,
    #[cfg(feature = "encrypt")]
    encryption: Option<Encryption>,
}

/// What an import has made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// What the archive says of itself.
    pub header: Header,
    /// How much it is, and its roots.
    pub summary: Summary,
    /// How many leases it holds.
    pub leases: u64,
}

impl Import {
    /// Of text in this format.
    #[must_use]
    pub fn new(format: TextFormat) -> Self {
        Self {
            format,
            range: None,
            #[cfg(feature = "encrypt")]
            encryption: None,
        }
    }

    /// Says of which range the text has every key: what a restore with [`RestoreMode::Mirror`] clears. Default: what
    /// the text says; else from its first to its last key.
    ///
    /// [`RestoreMode::Mirror`]: crate::backup::RestoreMode::Mirror
    #[must_use]
    pub fn range(self, range: impl Into<KeyRange>) -> Self {
        Self { range: Some(range.into()), ..self }
    }

    /// Encrypts the archive, all of it. Default: it is not.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypt(self, encryption: Encryption) -> Self {
        Self { encryption: Some(encryption), ..self }
    }

    /// Makes the archive and saves it as a file, which has its name only once it is complete and on disk.
    ///
    /// # Errors
    ///
    /// As [`Import::write_to`], and [`ErrorKind::AlreadyExists`] if there is something of that name. No file is
    /// left behind then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no file, but for a moment at the very end, when it leaves a complete one.
    pub async fn save(
        &self,
        text: impl Read + Send + 'static,
        path: impl Into<PathBuf>,
    ) -> Result<ImportReport> {
        let mut file = PendingFile::create(path).await?;
        let report = self.write_to(text, &mut file).await?;
        file.commit().await?;
        Ok(report)
    }

    /// Makes the archive and writes it, forward only, once all of the text was read. Records that are not in the
    /// order of their keys are sorted: up to 128 MiB of them in memory, more in temporary files. Beyond 8 GiB they must
    /// be in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] with the line that is wrong; [`ErrorKind::Config`] if there is no key and no range was
    /// given; [`ErrorKind::TooLarge`] if it is too much to be sorted; [`ErrorKind::Io`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; what was written until then is no complete archive.
    pub async fn write_to<W>(&self, text: impl Read + Send + 'static, writer: &mut W) -> Result<ImportReport>
    where
        W: AsyncWrite + Unpin + Send,
    {
        let format = self.format;
        let gathered = blocking(move || gather(BufReader::with_capacity(READ_BYTES, text), format)).await?;
        let header = self.header(gathered.header, gathered.ends)?;
        let mut output = self.output(writer)?;
        let (mut encoder, start) = Encoder::new(&header)?;
        output.write(&start).await?;
        let mut blocks = Blocks { records: gathered.records, cutter: Some(Cutter::new()) };
        loop {
            let (block, rest) = blocking(move || blocks.next()).await?;
            let Some(block) = block else { break };
            output.write(&encoder.append(block)?).await?;
            blocks = rest;
        }
        output.write(&encoder.leases(&gathered.leases)?).await?;
        output.write(&encoder.options(&self.options())?).await?;
        let (end, summary) = encoder.finish()?;
        check_root(&summary, gathered.end.as_ref())?;
        output.write(&end).await?;
        output.finish().await?;
        Ok(ImportReport { header, summary, leases: gathered.leases.len() as u64 })
    }

    fn output<'w, W: AsyncWrite + Unpin>(&self, writer: &'w mut W) -> Result<Output<'w, W>> {
        let output = Output::new(writer);
        #[cfg(feature = "encrypt")]
        let output = output.encrypted(self.encryption.as_ref())?;
        Ok(output)
    }

    fn options(&self) -> Options {
        let format = match self.format {
            TextFormat::JsonLines => "json lines",
            TextFormat::Etcdctl => "etcdctl",
            TextFormat::Shield => "shield",
        };
        Options { options: vec![BackupOption { name: "imported from".to_owned(), value: format.to_owned() }] }
    }

    fn header(&self, stated: Option<Header>, ends: Option<(Bytes, Bytes)>) -> Result<Header> {
        let stated = match (stated, &self.range) {
            (Some(header), None) => return Ok(header),
            (Some(header), Some(_)) => header,
            (None, _) => now(),
        };
        let range = self.range.clone().or_else(|| ends.map(from_to)).ok_or_else(no_key)?;
        Ok(Header { range, ..stated })
    }
}

/// All that is known where the text says nothing.
fn now() -> Header {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Header {
        cluster_id: ClusterId(0),
        member_id: MemberId(0),
        revision: Revision(1),
        created_unix_ms: now.as_millis().try_into().unwrap_or(i64::MAX),
        writer: concat!("etcd-ark ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Header::default()
    }
}

fn from_to((first, last): (Bytes, Bytes)) -> KeyRange {
    KeyRange::between(first, [&last[..], b"\0"].concat())
}

fn no_key() -> Error {
    Error::new(ErrorKind::Config, "the text holds no key: name the prefix that was empty")
}

fn check_root(summary: &Summary, end: Option<&EndLine>) -> Result<()> {
    match end.and_then(|end| end.content_root.as_ref()) {
        Some(stated) if *stated != summary.content_root.to_string() => {
            let what =
                "keys or values of the text were changed: they have another content root than its end says";
            Err(Error::new(ErrorKind::Corrupt, what))
        }
        _ => Ok(()),
    }
}

/// Cuts sorted records into blocks.
struct Blocks {
    records: Sorted,
    cutter: Option<Cutter>,
}

impl Blocks {
    fn next(mut self) -> Result<(Option<SealedBlock>, Self)> {
        let seal = |block: crate::archive::RawBlock| block.seal(Compression::default());
        while let Some(kv) = self.records.next()? {
            if let Some(cutter) = &mut self.cutter
                && let Some(block) = cutter.push(&kv)?
            {
                return Ok((Some(seal(block)), self));
            }
        }
        let last = self.cutter.take().and_then(Cutter::finish);
        Ok((last.map(seal), self))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let cut_off = |error| Error::new(ErrorKind::Io, "the import was cut off").with_source(error);
    spawn_blocking(work).await.unwrap_or_else(|error| Err(cut_off(error)))
}
