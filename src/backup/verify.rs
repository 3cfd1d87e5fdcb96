use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::in_order::InOrder;
use super::progress::{Observer, Phase, Tracker};
use super::source::Source;
use crate::archive::{
    Accepted, Block, BlockEntry, Decoder, Event, Fault, FormatError, Frame, Header, Lease, LostKeys, Opened,
    Salvage, Salvaged, Summary,
};
use crate::error::{Error, ErrorKind, Result};

const READ_BYTES: usize = 1 << 20;
/// Frames that are checked while others are read.
const OPENING: usize = 4;
/// A file of nothing but faults must not fill the memory with findings.
const MAX_FINDINGS: usize = 1000;

/// What reading an archive through has shown.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// What was backed up; `None` if that could not be read.
    pub header: Option<Header>,
    /// What the whole archive holds; `None` unless it is good.
    pub summary: Option<Summary>,
    /// The leases in it.
    pub leases: Vec<Lease>,
    /// How many records were good.
    pub records: u64,
    /// How many blocks were good.
    pub blocks: u64,
    /// Bytes of keys and values in good records.
    pub bytes: u64,
    /// What is wrong, in the order of the file; the first thousand.
    pub findings: Vec<FormatError>,
    /// Which keys are missing, ascending; the last of a thousand covers all that follow.
    pub lost: Vec<LostKeys>,
    /// Whether any record of a good archive has a lease: `leases` need not tell of each.
    pub(super) leased: bool,
}

impl VerifyReport {
    /// Whether every byte is as it was written.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.summary.is_some() && self.findings.is_empty()
    }

    /// An error that tells the first finding, if there is any.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`], or [`ErrorKind::Unsupported`] if the archive needs a newer program.
    pub fn check(&self) -> Result<()> {
        match self.findings.first() {
            Some(finding) => Err(finding.clone().into()),
            None if self.summary.is_some() => Ok(()),
            None => Err(Error::new(ErrorKind::Corrupt, "the archive was not read to its end")),
        }
    }

    /// An error if only a newer program can tell what the archive holds.
    pub(super) fn check_version(&self) -> Result<()> {
        let errors = self.findings.iter().map(|finding| Error::from(finding.clone()));
        match errors.into_iter().find(|error| error.kind() == ErrorKind::Unsupported) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn add_block(&mut self, block: &Block) {
        self.records += u64::from(block.record_count());
        self.bytes += block.content_bytes();
        self.leased |= block.has_leases();
        self.blocks += 1;
    }

    fn add(&mut self, finding: FormatError) {
        if self.findings.len() < MAX_FINDINGS && self.findings.last() != Some(&finding) {
            self.findings.push(finding);
        }
    }
}

/// Reads an archive through and checks all of it. What is wrong is a finding of the report, not an
/// error; the reading goes on behind it where it can.
///
/// Memory is bounded by a few frames. Hashing and decompressing run on other threads.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// # let file = tokio::io::empty();
/// let report = etcd_ark::backup::verify(file).await?;
/// for finding in &report.findings {
///     println!("{finding}");
/// }
/// println!("good: {}", report.is_good());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Io`] if it can't be read.
///
/// # Cancel safety
///
/// Changes nothing; may be dropped at any time.
pub async fn verify<R: AsyncRead + Unpin + Send>(reader: R) -> Result<VerifyReport> {
    verify_observed(reader, &Observer::default()).await
}

pub(super) async fn verify_observed<R>(mut reader: R, observer: &Observer) -> Result<VerifyReport>
where
    R: AsyncRead + Unpin + Send,
{
    let mut verifier = Verifier::new(observer, None);
    let mut buffer = vec![0; READ_BYTES];
    while !verifier.ended {
        let read = reader.read(&mut buffer).await.map_err(cannot_read)?;
        if read == 0 {
            break;
        }
        verifier.take(&buffer[..read]).await?;
    }
    verifier.finish().await.map(|(report, _)| report)
}

pub(super) async fn verify_source(source: &Source, observer: &Observer) -> Result<VerifyReport> {
    Verifier::new(observer, None).read_through(source).await.map(|(report, _)| report)
}

/// Verifies, and tells which blocks are left of a damaged archive.
pub(super) async fn salvage_source(
    source: &Source,
    observer: &Observer,
) -> Result<(VerifyReport, Vec<BlockEntry>)> {
    let verifier = Verifier::new(observer, Some(Salvage::new()));
    let (mut report, salvaged) = verifier.read_through(source).await?;
    let Salvaged { blocks, bytes, lost } = salvaged;
    report.records = blocks.iter().map(|block| u64::from(block.records)).sum();
    (report.blocks, report.bytes, report.lost) = (blocks.len() as u64, bytes, lost);
    Ok((report, blocks))
}

pub(super) fn cannot_read(error: io::Error) -> Error {
    match error.kind() {
        // What decryption says of bytes that are not those that were encrypted; disks fail in other ways.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::Corrupt, "the archive's encryption is damaged").with_source(error)
        }
        _ => Error::new(ErrorKind::Io, "cannot read the archive").with_source(error),
    }
}

/// Splits an archive into frames, checks them on other threads, and takes the results in order.
struct Verifier {
    decoder: Decoder,
    opening: InOrder<Opened>,
    report: VerifyReport,
    salvage: Option<Salvage>,
    progress: Tracker,
    /// Nothing behind the last finding can be read.
    ended: bool,
}

impl Verifier {
    fn new(observer: &Observer, salvage: Option<Salvage>) -> Self {
        let progress = observer.begin(Phase::Verifying, None);
        let (decoder, opening) = (Decoder::new(), InOrder::of(OPENING));
        Self { decoder, opening, report: VerifyReport::default(), salvage, progress, ended: false }
    }

    async fn read_through(mut self, source: &Source) -> Result<(VerifyReport, Salvaged)> {
        let mut at = 0;
        while !self.ended {
            let bytes = source.read(at..at + READ_BYTES as u64).await?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            self.take(&bytes).await?;
        }
        self.finish().await
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.decoder.feed(bytes);
        self.take_frames().await
    }

    async fn take_frames(&mut self) -> Result<()> {
        while let Some(frame) = self.pull() {
            if let Some(oldest) = self.opening.push(|| frame.open()).await? {
                self.accept(oldest);
            }
        }
        Ok(())
    }

    /// The next whole frame. A fault that ends the archive is found again at the end, in its place
    /// behind those of the frames that are still being checked.
    fn pull(&mut self) -> Option<Frame> {
        let pulled = self.decoder.pull();
        self.ended |= pulled.is_err();
        pulled.ok().flatten()
    }

    fn accept(&mut self, opened: Opened) {
        let accepted = self.decoder.accept(opened);
        self.note(&accepted);
        if let Some(finding) = accepted.fault {
            self.ended |= finding.is_fatal();
            self.report.add(finding);
        }
    }

    fn note(&mut self, accepted: &Accepted) {
        if let Some(salvage) = &mut self.salvage {
            salvage.note(accepted);
        }
        match &accepted.event {
            Some(Event::Header(header)) => self.report.header = Some(header.clone()),
            Some(Event::Block(block)) => {
                self.report.add_block(block);
                self.progress.add(block.record_count().into(), block.content_bytes());
            }
            Some(Event::Leases(leases)) => self.report.leases.extend(leases),
            _ => {}
        }
    }

    async fn finish(mut self) -> Result<(VerifyReport, Salvaged)> {
        self.decoder.close();
        self.take_frames().await?;
        while let Some(oldest) = self.opening.next().await? {
            self.accept(oldest);
        }
        self.report.lost = self.decoder.lost_keys();
        let salvaged = self.salvage.map(|salvage| salvage.finish(&self.decoder)).unwrap_or_default();
        match self.decoder.finish() {
            Ok(summary) => self.report.summary = Some(summary),
            // Only repeats that there were findings.
            Err(FormatError { fault: Fault::Damaged { .. }, .. }) => {}
            Err(finding) => self.report.add(finding),
        }
        Ok((self.report, salvaged))
    }
}
