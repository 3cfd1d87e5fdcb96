use std::io::{BufReader, Read};
use std::path::PathBuf;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::task::spawn_blocking;

use super::TextFormat;
use super::gather::{Facts, Gathered, gather};
use super::json_lines::EndLine;
use super::sorter::Sorted;
use crate::archive::{
    BackupOption, Compression, Cutter, Encoder, Header, Lease, Options, SealedBlock, Summary,
};
#[cfg(feature = "encrypt")]
use crate::backup::crypt::Encryption;
use crate::backup::output::Output;
use crate::error::{Error, ErrorKind, Result};
use crate::store::PendingFile;
use crate::types::KeyRange;

const READ_BYTES: usize = 1 << 20;
/// The option that tells which text an archive was made of.
const ORIGIN: &str = "imported from";

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
        let Gathered { header, range, records, ends, facts, end } = gathered;
        let header = Header { range: self.complete_range(range, ends)?, ..header };
        let mut output = self.output(writer)?;
        let (mut encoder, start) = Encoder::new(&header)?;
        output.write(&start).await?;
        let mut blocks = Blocks { records, cutter: Some(Cutter::new()) };
        loop {
            let (block, rest) = blocking(move || blocks.next()).await?;
            let Some(block) = block else { break };
            output.write(&encoder.append(block)?).await?;
            blocks = rest;
        }
        let leases = facts.leases.len() as u64;
        output.write(&self.facts(&mut encoder, facts)?).await?;
        let (last, summary) = encoder.finish()?;
        check_root(&summary, end.as_ref())?;
        output.write(&last).await?;
        output.finish().await?;
        Ok(ImportReport { header, summary, leases })
    }

    /// The frames that hold no records.
    fn facts(&self, encoder: &mut Encoder, facts: Facts) -> Result<Vec<u8>> {
        let leases: Vec<Lease> = facts.leases.into_values().collect();
        let mut frames = encoder.leases(&leases)?.to_vec();
        if let Some(auth) = &facts.auth {
            frames.extend(encoder.auth(auth)?);
        }
        if let Some(members) = &facts.members {
            frames.extend(encoder.members(members)?);
        }
        frames.extend(encoder.options(&self.options(facts.options.unwrap_or_default()))?);
        Ok(frames)
    }

    fn output<'w, W: AsyncWrite + Unpin>(&self, writer: &'w mut W) -> Result<Output<'w, W>> {
        let output = Output::new(writer);
        #[cfg(feature = "encrypt")]
        let output = output.encrypted(self.encryption.as_ref())?;
        Ok(output)
    }

    /// Those that the text tells, and that it was one.
    fn options(&self, Options { mut options }: Options) -> Options {
        let format = match self.format {
            TextFormat::JsonLines => "json lines",
            TextFormat::Etcdctl => "etcdctl",
            TextFormat::Shield => "shield",
        };
        options.retain(|option| option.name != ORIGIN);
        let at = options.partition_point(|option| *option.name < *ORIGIN);
        options.insert(at, BackupOption { name: ORIGIN.to_owned(), value: format.to_owned() });
        Options { options }
    }

    fn complete_range(&self, stated: Option<KeyRange>, ends: Option<(Bytes, Bytes)>) -> Result<KeyRange> {
        self.range.clone().or(stated).or_else(|| ends.map(from_to)).ok_or_else(no_key)
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
