mod attempt;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::AsyncWrite;

#[cfg(feature = "encrypt")]
use super::crypt::Encryption;
use super::progress::{Observer, Progress};
use crate::archive::{Auth, Compression, Header, Members, Options, Summary};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::store::PendingFile;
use crate::stream::Scan;
use crate::types::KeyRange;

/// Enough for a compaction that comes at a bad moment, even twice; too few to go on for hours in vain.
const RESTARTS: u32 = 3;

/// A backup to be made: the keys of a range at one revision, while the cluster goes on.
///
/// It reads by a [`Scan`], whose documentation tells what others notice of that, and what to set where they should notice
/// less.
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
    /// How the range is read.
    scan: Scan,
    compression: Compression,
    #[cfg(feature = "encrypt")]
    encryption: Option<Encryption>,
    restarts: u32,
    via_snapshot: bool,
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
    /// How often it was begun anew, since what was being read had been compacted.
    pub restarts: u32,
    /// How long it took, all attempts together.
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
            scan: Scan::all(),
            compression: Compression::default(),
            #[cfg(feature = "encrypt")]
            encryption: None,
            restarts: RESTARTS,
            via_snapshot: false,
            observer: Observer::default(),
        }
    }

    /// Saves only the keys of this range. Default: every key.
    #[must_use]
    pub fn range(self, range: impl Into<KeyRange>) -> Self {
        Self { range: range.into(), ..self }
    }

    /// As [`Scan::concurrency`].
    #[must_use]
    pub fn concurrency(self, parts: usize) -> Self {
        Self { scan: self.scan.concurrency(parts), ..self }
    }

    /// As [`Scan::max_in_flight_bytes`].
    #[must_use]
    pub fn max_in_flight_bytes(self, bytes: usize) -> Self {
        Self { scan: self.scan.max_in_flight_bytes(bytes), ..self }
    }

    /// As [`Scan::rate_limit`].
    #[must_use]
    pub fn rate_limit(self, bytes_per_second: u64) -> Self {
        Self { scan: self.scan.rate_limit(bytes_per_second), ..self }
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

    /// How often a backup into a file is begun anew, at a newer revision, if the cluster compacts the revision that
    /// is being read. Default: 3 times.
    #[must_use]
    pub fn restarts(self, restarts: u32) -> Self {
        Self { restarts, ..self }
    }

    /// Takes a member's [snapshot](crate::Member::snapshot) and reads the keys out of it, instead of scanning them:
    /// for clusters that compact their history faster than it can be read. Default: scan.
    ///
    /// The archive is the same, at the revision of the snapshot. It needs the root role if authentication is on,
    /// the whole database is transferred whatever the range, and twice its size is needed for temporary files, in
    /// the folder that `TMPDIR` names. Memory is bounded all the same.
    #[must_use]
    pub fn via_snapshot(self) -> Self {
        Self { via_snapshot: true, ..self }
    }

    /// Calls this when reading begins, or begins anew, and after every page. Default: nobody is told.
    #[must_use]
    pub fn on_progress(self, observe: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { observer: Observer::new(observe), ..self }
    }

    /// Makes the backup and saves it as a file, which has its name only once it is complete and on
    /// disk. The file is readable by its owner only.
    ///
    /// # Errors
    ///
    /// As [`Backup::fill`], and [`ErrorKind::AlreadyExists`] if there is something of that name.
    /// No file is left behind then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no file, but for a moment at the very end, when it leaves a complete one.
    pub async fn save(&self, client: &Client, path: impl Into<PathBuf>) -> Result<BackupReport> {
        let mut file = PendingFile::create(path).await?;
        let report = self.fill(client, &mut file).await?;
        file.commit().await?;
        Ok(report)
    }

    /// Makes the backup and writes it into a file, for the caller to commit. If the revision is compacted while
    /// it is read, the file is emptied and the backup begun anew, as often as [`Backup::restarts`] says.
    ///
    /// # Errors
    ///
    /// As [`Backup::write_to`]; [`ErrorKind::Compacted`] only once there are no restarts left. The file must
    /// not be committed then.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the file must not be committed then.
    pub async fn fill(&self, client: &Client, file: &mut PendingFile) -> Result<BackupReport> {
        let began = Instant::now();
        let mut restarts = 0;
        loop {
            match self.attempt(client, file, restarts).await {
                Err(error) if error.kind() != ErrorKind::Compacted => return Err(error),
                Err(error) if restarts == self.restarts => return Err(outrun(&error, restarts)),
                Err(_) => restarts += 1,
                Ok(report) => return Ok(BackupReport { elapsed: began.elapsed(), ..report }),
            }
            file.clear().await?;
        }
    }

    /// Makes the backup and writes it, forward only. Memory is bounded by a few pages and blocks.
    ///
    /// What is written can't be taken back, so this never begins anew: that is what [`Backup::fill`] and
    /// [`Backup::save`] are for.
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
        self.attempt(client, writer, 0).await.map_err(|error| match error.kind() {
            ErrorKind::Compacted => error.context(
                "the cluster compacted the revision that was being read, and what is written can't be taken \
                 back; save to a file, where a backup can begin anew",
            ),
            _ => error,
        })
    }
}

fn outrun(error: &Error, restarts: u32) -> Error {
    let attempts = restarts + 1;
    let plural = if attempts == 1 { "" } else { "s" };
    Error::new(
        ErrorKind::Compacted,
        format!(
            "the cluster compacts its history faster than the keys can be read: in {attempts} attempt{plural} \
             the revision that was being read was gone before the end; read via a snapshot, which needs no \
             history ({error})"
        ),
    )
}
