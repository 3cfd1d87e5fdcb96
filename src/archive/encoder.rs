//! Writing an archive.

use bytes::Bytes;

use super::block::SealedBlock;
use super::error::EncodeError;
use super::facts::{Auth, Facts, Members, Options};
use super::footer::Summary;
use super::frame::meta_frame;
use super::header::Header;
use super::index::{FrameEntry, IndexWriter};
use super::layout::{FrameType, MAX_LEASES_PER_FRAME};
use super::lease::{self, Lease};
use super::ledger::{BlockFacts, Ledger};

/// Puts an archive together, front to back. The caller writes what each call returns, in order.
///
/// ```
/// use etcd_ark::archive::{Compression, Cutter, Encoder, Header};
///
/// let mut archive = Vec::new();
/// let (mut encoder, start) = Encoder::new(&Header::default())?;
/// archive.extend_from_slice(&start);
/// let cutter = Cutter::new();
/// // One `cutter.push(&record)?` for every record; each may complete a block.
/// if let Some(block) = cutter.finish() {
///     archive.extend_from_slice(&encoder.append(block.seal(Compression::default()))?);
/// }
/// let (end, summary) = encoder.finish()?;
/// archive.extend_from_slice(&end);
/// assert_eq!(summary.file_len, archive.len() as u64);
/// # Ok::<(), etcd_ark::Error>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    ledger: Ledger,
    index: IndexWriter,
    /// The type of the last frame.
    last: FrameType,
}

impl Encoder {
    /// Begins an archive and gives its first bytes.
    ///
    /// # Errors
    ///
    /// If the header is beyond 8 MiB.
    pub fn new(header: &Header) -> Result<(Self, Bytes), EncodeError> {
        let (preamble, frame) = header.to_frame()?;
        let (ledger, index) = (Ledger::new(&preamble), IndexWriter::default());
        let mut encoder = Self { ledger, index, last: FrameType::Header };
        encoder.list(&frame, FrameType::Header);
        Ok((encoder, [preamble, frame].concat().into()))
    }

    /// Appends the next block and gives its bytes.
    ///
    /// # Errors
    ///
    /// If the block is not the next one, or comes after leases or other facts.
    pub fn append(&mut self, block: SealedBlock) -> Result<Bytes, EncodeError> {
        let (expected, found) = (self.ledger.blocks, block.ordinal());
        self.may_follow(FrameType::Block)?;
        if found != expected {
            return Err(EncodeError::BlockOrder { expected, found });
        }
        if !self.ledger.precedes(&block.first_key) {
            return Err(EncodeError::KeyOrder { key: block.first_key });
        }
        let entry = block.entry(self.ledger.offset);
        self.ledger.add_block(BlockFacts {
            records: entry.records,
            bytes: block.bytes,
            last_key: &block.last_key,
            state_hash: &entry.state_hash,
            content_hash: &entry.content_hash,
        });
        self.ledger.add_frame(block.frame.len(), &block.check);
        self.index.add(entry);
        self.last = FrameType::Block;
        Ok(block.frame.into())
    }

    /// Appends leases, sorted by id and above those of earlier calls, and gives their bytes.
    /// They come after the last block.
    ///
    /// # Errors
    ///
    /// If an id is 0, or the ids don't ascend.
    pub fn leases(&mut self, leases: &[Lease]) -> Result<Bytes, EncodeError> {
        if leases.iter().any(|lease| lease.id.0 == 0) {
            return Err(EncodeError::LeaseZero);
        }
        self.may_follow(FrameType::Leases)?;
        if !self.ledger.add_leases(leases) {
            return Err(EncodeError::LeaseOrder);
        }
        let mut out = Vec::new();
        for some in leases.chunks(MAX_LEASES_PER_FRAME) {
            let frame = meta_frame(FrameType::Leases, &lease::encode(some))?;
            self.list(&frame, FrameType::Leases);
            out.extend_from_slice(&frame);
        }
        Ok(out.into())
    }

    /// Appends users and roles, sorted by name, and gives their bytes. They come after the leases, once.
    ///
    /// # Errors
    ///
    /// If they are not sorted, a name is empty, or they are beyond 8 MiB or 65536 entries.
    pub fn auth(&mut self, auth: &Auth) -> Result<Bytes, EncodeError> {
        self.fact(FrameType::Auth, auth.encode(), |payload| Auth::decode(payload).is_ok())
    }

    /// Appends members, sorted by id, and alarms, and gives their bytes. They come after users and roles, once.
    ///
    /// # Errors
    ///
    /// As [`Encoder::auth`].
    pub fn members(&mut self, members: &Members) -> Result<Bytes, EncodeError> {
        self.fact(FrameType::Members, members.encode(), |payload| Members::decode(payload).is_ok())
    }

    /// Appends the options of the backup, sorted by name, and gives their bytes. They come after the members, once.
    ///
    /// # Errors
    ///
    /// As [`Encoder::auth`].
    pub fn options(&mut self, options: &Options) -> Result<Bytes, EncodeError> {
        self.fact(FrameType::Options, options.encode(), |payload| Options::decode(payload).is_ok())
    }

    /// Writes nothing that a reader would refuse.
    fn fact(
        &mut self,
        kind: FrameType,
        payload: Vec<u8>,
        is_valid: impl Fn(&Bytes) -> bool,
    ) -> Result<Bytes, EncodeError> {
        if self.last >= kind {
            return Err(EncodeError::FrameOrder { frame: kind.name(), after: self.last.name() });
        }
        let payload = Bytes::from(payload);
        if !is_valid(&payload) {
            return Err(EncodeError::Invalid { frame: kind.name() });
        }
        let frame = meta_frame(kind, &payload)?;
        self.list(&frame, kind);
        Ok(frame.into())
    }

    /// Whether a frame of this type, of which there can be many, may come next.
    fn may_follow(&self, kind: FrameType) -> Result<(), EncodeError> {
        if self.last <= kind {
            return Ok(());
        }
        Err(EncodeError::FrameOrder { frame: kind.name(), after: self.last.name() })
    }

    /// Counts a frame that the index root is to list.
    fn list(&mut self, frame: &[u8], kind: FrameType) {
        let check = frame.last_chunk().copied().unwrap_or_default();
        self.index.add_frame(&FrameEntry::of(kind.byte(), self.ledger.offset, frame.len(), check));
        self.ledger.add_frame(frame.len(), &check);
        self.last = kind;
    }

    /// Completes the archive with its index and footer, and gives their bytes.
    ///
    /// # Errors
    ///
    /// If the index would exceed its limit, far above what etcd can hold.
    pub fn finish(self) -> Result<(Bytes, Summary), EncodeError> {
        let Self { mut ledger, index, .. } = self;
        let mut out = Vec::new();
        let root = index.finish(|leaf| {
            let offset = ledger.offset;
            add_frame(&mut ledger, &leaf);
            out.extend_from_slice(&leaf);
            offset
        })?;
        let root = meta_frame(FrameType::IndexRoot, &root)?;
        add_frame(&mut ledger, &root);
        out.extend_from_slice(&root);
        let footer = ledger.footer();
        out.extend_from_slice(&meta_frame(FrameType::Footer, &footer.encode())?);
        Ok((out.into(), footer.summary))
    }
}

fn add_frame(ledger: &mut Ledger, frame: &[u8]) {
    ledger.add_frame(frame.len(), &frame.last_chunk().copied().unwrap_or_default());
}
