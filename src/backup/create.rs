use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use tokio::io::AsyncWrite;
use tokio::task::{JoinHandle, spawn_blocking};

#[cfg(feature = "encrypt")]
use super::crypt::Encryption;
use super::facts::{read_auth, read_members, versions};
use super::grants::explained;
use super::leases::read_leases;
use super::output::Output;
use super::progress::{Observer, Phase, Progress};
use crate::archive::{
    Auth, BackupOption, Compression, Cutter, Encoder, Header, Members, Options, RawBlock, SealedBlock,
    Summary,
};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::store::PendingFile;
use crate::stream::{Scan, ScanPage};
use crate::types::{self, KeyRange, LeaseId};

/// Blocks that are hashed and compressed while others are read and written.
const SEALING: usize = 4;

/// A backup to be made: the keys of a range at one revision, while the cluster goes on.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::KeyRange;
/// use etcd_ark::backup::Backup;
///
/// let report = Backup::new().range(KeyRange::prefix("/app/")).save(&client, "app.ark").await?;
/// println!("{} keys at revision {}", report.summary.records, report.header.revision);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Backup {
    range: KeyRange,
    compression: Compression,
    #[cfg(feature = "encrypt")]
    encryption: Option<Encryption>,
    observer: Observer,
}

/// What a backup saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// What was backed up, from where, and when.
    pub header: Header,
    /// How much it was, and its roots.
    pub summary: Summary,
    /// How many leases the keys go with.
    pub leases: u64,
    /// Users and roles as they were right after the keys were read; or why they could not be.
    pub auth: Auth,
    /// Members and alarms, likewise.
    pub members: Members,
    /// How the backup was made, as the archive tells.
    pub options: Options,
    /// How long it took.
    pub elapsed: Duration,
}

impl Default for Backup {
    fn default() -> Self {
        Self::new()
    }
}

impl Backup {
    /// Every key, compressed.
    #[must_use]
    pub fn new() -> Self {
        Self {
            range: KeyRange::all(),
            compression: Compression::default(),
            #[cfg(feature = "encrypt")]
            encryption: None,
            observer: Observer::default(),
        }
    }

    /// Saves only the keys of this range. Default: every key.
    #[must_use]
    pub fn range(self, range: impl Into<KeyRange>) -> Self {
        Self { range: range.into(), ..self }
    }

    /// How to compress blocks. Default: zstd, fast.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Encrypts the archive, all of it. Default: it is not.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypt(self, encryption: Encryption) -> Self {
        Self { encryption: Some(encryption), ..self }
    }

    /// Calls this when reading begins, and after every page. Default: nobody is told.
    #[must_use]
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Makes the backup and saves it as a file, which has its name only once it is complete and on
    /// disk. The file is readable by its owner only.
    ///
    /// # Errors
    ///
    /// As [`Backup::write_to`], and [`ErrorKind::AlreadyExists`] if there is something of that name.
    /// No file is left behind then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no file, but for a moment at the very end, when it leaves a complete one.
    pub async fn save(&self, client: &Client, path: impl Into<PathBuf>) -> Result<BackupReport> {
        let mut file = PendingFile::create(path).await?;
        let report = self.write_to(client, &mut file).await?;
        file.commit().await?;
        Ok(report)
    }

    /// Makes the backup and writes it, forward only. Memory is bounded by a page and a few blocks.
    ///
    /// # Errors
    ///
    /// As [`Client::scan`], most of all [`ErrorKind::Compacted`]; [`ErrorKind::Io`] if it can't be
    /// written. What was written until then is no complete archive, and readers say so.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; what was written until then is no complete archive.
    pub async fn write_to<W>(&self, client: &Client, writer: &mut W) -> Result<BackupReport>
    where
        W: AsyncWrite + Unpin + Send,
    {
        let began = Instant::now();
        let mut progress = self.observer.begin(Phase::Reading, None);
        let mut scan = client.scan(Scan::new(self.range.clone()));
        let first = explained(scan.next_page().await, client, &self.range).await?;
        let pinned = first.as_ref().map(|page| page.header).ok_or_else(no_answer)?;
        progress.expect(scan.total());

        let header = Box::pin(self.header(client, pinned)).await;
        let mut pipeline = Pipeline::begin(&header, self.compression, self.output(writer)?).await?;
        let mut page = first;
        while let Some(read) = page {
            progress.add(read.kvs.len() as u64, pipeline.take(read).await?);
            page = scan.next_page().await?;
        }
        let options = self.options();
        let leases = Box::pin(pipeline.leases(client)).await?;
        let (auth, members) = Box::pin(pipeline.facts(client, &options)).await?;
        let summary = pipeline.finish().await?;
        Ok(BackupReport { header, summary, leases, auth, members, options, elapsed: began.elapsed() })
    }

    fn output<'w, W: AsyncWrite + Unpin>(&self, writer: &'w mut W) -> Result<Output<'w, W>> {
        let output = Output::new(writer);
        #[cfg(feature = "encrypt")]
        let output = output.encrypted(self.encryption.as_ref())?;
        Ok(output)
    }

    fn options(&self) -> Options {
        let compression = match self.compression {
            Compression::None => "none".to_owned(),
            Compression::Zstd(level) => format!("zstd {level}"),
        };
        let option = |name: &str, value| BackupOption { name: name.to_owned(), value };
        Options { options: vec![option("compression", compression), option("range", self.range.to_string())] }
    }

    pub(super) async fn header(&self, client: &Client, pinned: types::Header) -> Header {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Header {
            cluster_id: pinned.cluster_id,
            member_id: pinned.member_id,
            revision: pinned.revision,
            created_unix_ms: now.as_millis().try_into().unwrap_or(i64::MAX),
            server_version: versions(client).await.remove(&pinned.member_id).unwrap_or_default(),
            writer: concat!("etcd-ark ", env!("CARGO_PKG_VERSION")).to_owned(),
            range: self.range.clone(),
        }
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Protocol, "the scan ended without a page")
}

/// Cut, hash and compress on other threads, write in order.
pub(super) struct Pipeline<'w, W> {
    cutter: Cutter,
    sealing: VecDeque<JoinHandle<SealedBlock>>,
    compression: Compression,
    encoder: Encoder,
    leases: BTreeSet<LeaseId>,
    output: Output<'w, W>,
}

impl<'w, W: AsyncWrite + Unpin> Pipeline<'w, W> {
    pub(super) async fn begin(
        header: &Header,
        compression: Compression,
        mut output: Output<'w, W>,
    ) -> Result<Self> {
        let (encoder, start) = Encoder::new(header)?;
        output.write(&start).await?;
        let (sealing, leases) = (VecDeque::new(), BTreeSet::new());
        Ok(Self { cutter: Cutter::new(), sealing, compression, encoder, leases, output })
    }

    /// Takes a page and says how many bytes of keys and values it held.
    pub(super) async fn take(&mut self, page: ScanPage) -> Result<u64> {
        let mut bytes = 0;
        for kv in &page.kvs {
            bytes += (kv.key.len() + kv.value.len()) as u64;
            self.leases.extend(kv.lease);
            if let Some(block) = self.cutter.push(kv)? {
                self.seal(block).await?;
            }
        }
        Ok(bytes)
    }

    async fn seal(&mut self, block: RawBlock) -> Result<()> {
        let compression = self.compression;
        self.sealing.push_back(spawn_blocking(move || block.seal(compression)));
        if self.sealing.len() > SEALING { self.append_oldest().await } else { Ok(()) }
    }

    async fn append_oldest(&mut self) -> Result<()> {
        let Some(oldest) = self.sealing.pop_front() else { return Ok(()) };
        let sealed = oldest.await.map_err(|error| {
            Error::new(ErrorKind::Io, "compressing a block was cut off").with_source(error)
        })?;
        self.output.write(&self.encoder.append(sealed)?).await
    }

    /// Writes what is left of the records, and the leases that they go with; says how many.
    pub(super) async fn leases(&mut self, client: &Client) -> Result<u64> {
        if let Some(last) = mem::take(&mut self.cutter).finish() {
            self.seal(last).await?;
        }
        while !self.sealing.is_empty() {
            self.append_oldest().await?;
        }
        let leases = read_leases(client, mem::take(&mut self.leases)).await?;
        self.output.write(&self.encoder.leases(&leases)?).await?;
        Ok(leases.len() as u64)
    }

    /// Writes how it was made.
    pub(super) async fn options(&mut self, options: &Options) -> Result<()> {
        self.output.write(&self.encoder.options(options)?).await
    }

    /// Writes what there is beside keys and leases.
    async fn facts(&mut self, client: &Client, options: &Options) -> Result<(Auth, Members)> {
        let auth = self.auth(read_auth(client).await).await?;
        let members = read_members(client).await;
        self.output.write(&self.encoder.members(&members)?).await?;
        self.options(options).await?;
        Ok((auth, members))
    }

    /// Writes the end.
    pub(super) async fn finish(mut self) -> Result<Summary> {
        let (end, summary) = self.encoder.finish()?;
        self.output.write(&end).await?;
        self.output.finish().await?;
        Ok(summary)
    }

    /// Writes users and roles; if they are too many, that they are.
    async fn auth(&mut self, read: Auth) -> Result<Auth> {
        let (frame, auth) = match self.encoder.auth(&read) {
            Ok(frame) => (frame, read),
            Err(error) => {
                let note = Auth { state: read.state, missing: error.to_string(), ..Auth::default() };
                (self.encoder.auth(&note)?, note)
            }
        };
        self.output.write(&frame).await?;
        Ok(auth)
    }
}

pub(super) fn cannot_write(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write the archive").with_source(error)
}
