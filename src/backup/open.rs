use std::fmt;
use std::io::{Read, Seek};
use std::path::PathBuf;

use bytes::Bytes;

#[cfg(feature = "encrypt")]
use super::crypt::Identities;
use super::intact::check_intact;
use super::progress::Observer;
use super::records::{Index, RecordReader, Records};
use super::source::Source;
use super::structure::check_structure;
use super::verify::{VerifyReport, verify_source};
use crate::archive::{Auth, Fault, Footer, Header, IndexRoot, Members, Options, Summary};
use crate::error::Result;
use crate::types::{KeyRange, KeyValue};

/// An archive in a file, opened by its footer and index: what is asked for is found without reading
/// the rest.
///
/// What is read is checked against its hashes. That the rest is good too, only
/// [`ArchiveFile::verify`] shows.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::backup::ArchiveFile;
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// println!("{} keys at revision {}", archive.summary().records, archive.header().revision);
/// let config = archive.get("/app/config").await?;
/// # Ok(())
/// # }
/// ```
pub struct ArchiveFile {
    records: Records,
    header: Header,
    footer: Footer,
}

impl ArchiveFile {
    /// Opens an archive; reads its header, footer and the top of its index.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file can't be read, [`ErrorKind::Corrupt`] if it is no archive, or an
    /// incomplete or damaged one, [`ErrorKind::Auth`](crate::ErrorKind::Auth) if it is encrypted,
    /// [`ErrorKind::Unsupported`] if it needs a newer program.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    ///
    /// [`ErrorKind::Io`]: crate::ErrorKind::Io
    /// [`ErrorKind::Corrupt`]: crate::ErrorKind::Corrupt
    /// [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::from_source(Source::open(path.into()).await?).await
    }

    /// As [`ArchiveFile::open`], for an archive that is encrypted, or perhaps is. Everything else is as with
    /// one that is not: single keys are found without decrypting the rest.
    ///
    /// # Errors
    ///
    /// As [`ArchiveFile::open`], and [`ErrorKind::Auth`](crate::ErrorKind::Auth) if none of the identities opens
    /// it.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    #[cfg(feature = "encrypt")]
    pub async fn open_with(path: impl Into<PathBuf>, identities: &Identities) -> Result<Self> {
        Self::from_source(Source::open(path.into()).await?.decrypted(identities).await?).await
    }

    /// Opens an archive that is somewhere else than in a file. Reads happen on threads that may wait.
    ///
    /// # Errors
    ///
    /// As [`ArchiveFile::open`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn from_reader(reader: impl Read + Seek + Send + 'static) -> Result<Self> {
        Self::from_source(Source::new("the archive", reader)).await
    }

    /// As [`ArchiveFile::from_reader`], for an archive that is encrypted, or perhaps is.
    ///
    /// # Errors
    ///
    /// As [`ArchiveFile::open_with`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    #[cfg(feature = "encrypt")]
    pub async fn from_reader_with(
        reader: impl Read + Seek + Send + 'static,
        identities: &Identities,
    ) -> Result<Self> {
        Self::from_source(Source::new("the archive", reader).decrypted(identities).await?).await
    }

    pub(super) async fn from_source(source: Source) -> Result<Self> {
        let (footer, root) = read_ends(&source).await.map_err(|error| error.context(source.name()))?;
        let records = Records::new(source, Index::Whole(root));
        // By the index, as all else: the header of another archive would be whole, too.
        let missing = Fault::EntryMismatch { what: "the header" }.at(footer.index_root().start);
        let header = records.facts().await?.ok_or_else(|| records.named(missing))?;
        Ok(Self { records, header, footer })
    }

    /// What was backed up, from where, and when.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How much it is, and its roots.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.footer.summary()
    }

    /// Users and roles; `None` if the archive does not hold them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn auth(&mut self) -> Result<Option<Auth>> {
        self.records.facts().await
    }

    /// Members and alarms; `None` if the archive does not hold them.
    ///
    /// # Errors
    ///
    /// As [`ArchiveFile::auth`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn members(&mut self) -> Result<Option<Members>> {
        self.records.facts().await
    }

    /// How the backup was made; `None` if the archive does not tell.
    ///
    /// # Errors
    ///
    /// As [`ArchiveFile::auth`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn options(&mut self) -> Result<Option<Options>> {
        self.records.facts().await
    }

    /// One key; `None` if the archive does not hold it. Reads little more than the block that does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn get(&mut self, key: impl Into<Bytes>) -> Result<Option<KeyValue>> {
        let found = self.records(KeyRange::key(key)).next_block().await?;
        Ok(found.and_then(|kvs| kvs.into_iter().next()))
    }

    /// The records of a range, ascending, block by block. Reads only blocks that may hold some.
    pub fn records(&mut self, range: impl Into<KeyRange>) -> RecordReader<'_> {
        self.records.of(range.into())
    }

    pub(super) fn all_records(&self) -> &Records {
        &self.records
    }

    /// Reads the whole archive and checks all of it; see [`verify`](super::verify()).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if it can't be read.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn verify(&mut self) -> Result<VerifyReport> {
        self.verify_observed(&Observer::default()).await
    }

    pub(super) async fn verify_observed(&mut self, observer: &Observer) -> Result<VerifyReport> {
        verify_source(self.records.source(), observer).await
    }

    /// Checks that every byte of the file is the one that was written. That blocks hold what the index says is shown
    /// where they are read.
    pub(super) async fn check_intact(&self) -> Result<()> {
        check_intact(&self.records, &self.header, &self.footer).await
    }

    /// Checks that the file is complete and its parts fit together, without reading the records: header,
    /// index and footer are read, a few kilobytes for each gigabyte.
    ///
    /// That every block lies where the index says, and that the roots are those of the blocks that it names, is
    /// certain then. Damage inside a block is not noticed: that takes [`ArchiveFile::verify`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if it can't be read, [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt)
    /// with the first thing that is wrong.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn verify_structure(&mut self) -> Result<()> {
        check_structure(&self.records, &self.footer).await
    }
}

impl fmt::Debug for ArchiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveFile({:?})", self.records)
    }
}

async fn read_ends(source: &Source) -> Result<(Footer, IndexRoot)> {
    let file_len = source.len().await?;
    Header::span(&source.read(0..Header::PROBE_LEN as u64).await?)?;
    let footer = Footer::parse(source.read(Footer::span(file_len)?).await?, file_len)?;
    let root = IndexRoot::parse(source.read(footer.index_root()).await?, &footer)?;
    Ok((footer, root))
}
