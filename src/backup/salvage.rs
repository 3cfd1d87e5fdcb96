use std::fmt;
use std::io::{Read, Seek};
use std::path::PathBuf;

#[cfg(feature = "encrypt")]
use super::crypt::Identities;
use super::progress::{Observer, Progress};
use super::records::{Index, RecordReader, Records};
use super::source::Source;
use super::verify::{VerifyReport, salvage_source};
use crate::error::Result;
use crate::types::KeyRange;

/// What is left of a damaged or incomplete archive: every block that is whole and its own.
///
/// The archive was read through once, and what is found may be relied on: records are exactly those that were
/// written. What is missing, [`SalvagedFile::report`] tells. A good archive is left whole.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::backup::SalvagedFile;
///
/// let salvaged = SalvagedFile::open("damaged.ark").await?;
/// for lost in &salvaged.report().lost {
///     println!("lost: {}", lost.range);
/// }
/// # Ok(())
/// # }
/// ```
pub struct SalvagedFile {
    records: Records,
    report: VerifyReport,
}

impl SalvagedFile {
    /// Reads an archive through and notes what is left of it. Memory grows with the number of blocks, by
    /// a few hundred bytes each.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the file can't be read,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if it needs a newer program. Damage is no error,
    /// even if nothing is left.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_observed(path, |_| {}).await
    }

    /// As [`SalvagedFile::open`]; calls this while the archive is read.
    ///
    /// # Errors
    ///
    /// As [`SalvagedFile::open`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn open_observed(
        path: impl Into<PathBuf>,
        observe: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Self> {
        let source = Source::open(path.into()).await?;
        Self::from_source(source, &Observer::new(observe)).await
    }

    /// As [`SalvagedFile::open_observed`], for an archive that is encrypted, or perhaps is. Of 64 KiB in which a byte is
    /// damaged nothing is left; if the first bytes of the file are, nothing at all.
    ///
    /// # Errors
    ///
    /// As [`SalvagedFile::open`]; [`ErrorKind::Auth`](crate::ErrorKind::Auth) if none of the identities opens it, and
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the start of its encryption is damaged.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    #[cfg(feature = "encrypt")]
    pub async fn open_with(
        path: impl Into<PathBuf>,
        identities: &Identities,
        observe: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Self> {
        let source = Source::open(path.into()).await?.decrypted_as_far_as_it_is(identities).await?;
        Self::from_source(source, &Observer::new(observe)).await
    }

    /// As [`SalvagedFile::open_observed`], for an archive that is somewhere else than in a file. Reads happen on threads
    /// that may wait.
    ///
    /// # Errors
    ///
    /// As [`SalvagedFile::open`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn from_reader_observed(
        reader: impl Read + Seek + Send + 'static,
        observe: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::from_source(Source::new("the archive", reader), &Observer::new(observe)).await
    }

    /// As [`SalvagedFile::from_reader_observed`], for an archive that is encrypted, or perhaps is.
    ///
    /// # Errors
    ///
    /// As [`SalvagedFile::open_with`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    #[cfg(feature = "encrypt")]
    pub async fn from_reader_with(
        reader: impl Read + Seek + Send + 'static,
        identities: &Identities,
        observe: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Self> {
        let source = Source::new("the archive", reader).decrypted_as_far_as_it_is(identities).await?;
        Self::from_source(source, &Observer::new(observe)).await
    }

    async fn from_source(source: Source, observer: &Observer) -> Result<Self> {
        let (report, blocks) = salvage_source(&source, observer).await?;
        report.check_version().map_err(|error| error.context(source.name()))?;
        let leases = report.leases.iter().map(|lease| lease.id).collect();
        Ok(Self { records: Records::new(source, Index::Salvaged(blocks, leases)), report })
    }

    /// What is wrong with the archive, and which keys are lost. Its counts are of what is left.
    #[must_use]
    pub fn report(&self) -> &VerifyReport {
        &self.report
    }

    /// The records of a range that are left, ascending, block by block.
    pub fn records(&mut self, range: impl Into<KeyRange>) -> RecordReader<'_> {
        self.records.of(range.into())
    }

    pub(super) fn all_records(&self) -> &Records {
        &self.records
    }
}

impl fmt::Debug for SalvagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SalvagedFile({:?})", self.records)
    }
}
