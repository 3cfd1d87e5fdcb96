//! Reading an archive front to back.

use bytes::{Buf, Bytes, BytesMut};

use super::block::Block;
use super::error::{Fault, FormatError};
use super::footer::{Footer, Summary};
use super::frame::{Frame, check_magic, read_preamble, stated_frame_len};
use super::hash::RootHasher;
use super::header::Header;
use super::index::{BlockEntry, LeafEntry};
use super::layout::{FRAME_HEADER_LEN, FrameType, PREAMBLE_LEN};
use super::lease::Lease;
use super::ledger::{BlockFacts, Ledger};
use super::opened::{Body, Opened};

/// Something that was read and verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// What was backed up. The first event.
    Header(Header),
    /// The next records.
    Block(Block),
    /// Leases, ascending by id.
    Leases(Vec<Lease>),
    /// Something optional that a newer program wrote; it is left out.
    Skipped {
        /// Where the frame begins.
        offset: u64,
        /// Its type.
        frame: u8,
    },
    /// The end of an archive in which all was as it was written. The last event.
    End(Summary),
}

/// Takes an archive apart, front to back, from pieces of any size.
///
/// Feed it, take events until there is none, feed it again; at the end of the input call
/// [`Decoder::finish`]. At any time it holds what was fed, which is at most one frame and one
/// piece if events are taken in between; nothing in a file makes it hold more.
///
/// After a fault that is not fatal it goes on with the next frame, so that what is left of a damaged
/// archive can be read. [`Event::End`] comes only if there was no fault at all.
///
/// ```
/// use etcd_ark::archive::{Decoder, Encoder, Event, Header};
///
/// let (encoder, start) = Encoder::new(&Header::default())?;
/// let (end, written) = encoder.finish()?;
///
/// let mut decoder = Decoder::new();
/// for piece in [start, end] {
///     decoder.feed(&piece);
///     while let Some(event) = decoder.next_event()? {
///         if let Event::Block(block) = event {
///             block.records().for_each(|record| println!("{:?}", record.key));
///         }
///     }
/// }
/// assert_eq!(decoder.finish()?, written);
/// # Ok::<(), etcd_ark::Error>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// Where the buffer's first byte is in the archive.
    offset: u64,
    minor: Option<u16>,
    footer_pulled: bool,
    fatal: Option<FormatError>,
    checker: Checker,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            offset: 0,
            minor: None,
            footer_pulled: false,
            fatal: None,
            checker: Checker::new(&[]),
        }
    }

    /// Takes the next bytes of the archive.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, or `None` if it takes more bytes, or the archive has ended.
    ///
    /// # Errors
    ///
    /// What is wrong with the archive. After a [fatal](FormatError::is_fatal) fault every call
    /// gives the same; after any other the next call goes on behind it.
    pub fn next_event(&mut self) -> Result<Option<Event>, FormatError> {
        while let Some(frame) = self.pull()? {
            if let Some(event) = self.accept(frame.open())? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The next frame, not yet checked: the first of three steps that [`Decoder::next_event`] takes
    /// at once. [`Frame::open`] may then run on another thread; [`Decoder::accept`] takes the
    /// results, in the order of the frames.
    ///
    /// # Errors
    ///
    /// Fatal faults only: no frame can be told from the next.
    pub fn pull(&mut self) -> Result<Option<Frame>, FormatError> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        self.try_pull().inspect_err(|error| self.fatal = Some(error.clone()))
    }

    fn try_pull(&mut self) -> Result<Option<Frame>, FormatError> {
        if self.footer_pulled && self.buffer.has_remaining() {
            return Err(Fault::TrailingBytes.at(self.offset));
        }
        if self.minor.is_none() && !self.take_preamble()? {
            return Ok(None);
        }
        if self.buffer.len() < FRAME_HEADER_LEN {
            return Ok(None);
        }
        let frame_len = stated_frame_len(&self.buffer, self.offset)?;
        if self.buffer.len() < frame_len {
            return Ok(None);
        }
        let frame = Frame::whole(self.take(frame_len), self.offset)?;
        self.offset += frame_len as u64;
        self.footer_pulled = frame.looks_like_footer();
        Ok(Some(frame))
    }

    fn take_preamble(&mut self) -> Result<bool, FormatError> {
        if self.buffer.len() < PREAMBLE_LEN {
            return check_magic(&self.buffer).map(|()| false);
        }
        self.minor = Some(read_preamble(&self.buffer)?);
        self.checker = Checker::new(&self.take(PREAMBLE_LEN));
        self.offset = PREAMBLE_LEN as u64;
        Ok(true)
    }

    fn take(&mut self, len: usize) -> Bytes {
        self.buffer.split_to(len).freeze()
    }

    /// Checks a frame against those before it, and gives the event that it makes, if any.
    ///
    /// # Errors
    ///
    /// What is wrong with the frame, or with its place.
    pub fn accept(&mut self, frame: Opened) -> Result<Option<Event>, FormatError> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        let minor = self.minor.unwrap_or_default();
        self.checker.accept(frame, minor).inspect_err(|error| {
            self.checker.faults += 1;
            if error.is_fatal() {
                self.fatal = Some(error.clone());
            }
        })
    }

    /// Tells, at the end of the input, whether that was a whole archive.
    ///
    /// # Errors
    ///
    /// The fatal fault, if there was one; [`Fault::Incomplete`] if there was no footer;
    /// [`Fault::Damaged`] if faults were reported on the way.
    pub fn finish(mut self) -> Result<Summary, FormatError> {
        // Whoever takes no event behind the footer has not seen what follows it.
        self.pull()?;
        self.checker.verdict(self.offset + self.buffer.len() as u64)
    }
}

/// Holds frames against those before them.
#[derive(Debug)]
struct Checker {
    ledger: Ledger,
    previous: Option<FrameType>,
    writer: String,
    /// The index as it should be and as it is, each as one hash: an index can't be held in memory
    /// that is bounded.
    index: [RootHasher; 2],
    leaves: [RootHasher; 2],
    next_ordinal: u64,
    faults: u64,
    end: Option<Footer>,
}

impl Checker {
    fn new(preamble: &[u8]) -> Self {
        let empty = RootHasher::new(&[]);
        Self {
            ledger: Ledger::new(preamble),
            previous: None,
            writer: String::new(),
            index: [empty.clone(), empty.clone()],
            leaves: [empty.clone(), empty],
            next_ordinal: 0,
            faults: 0,
            end: None,
        }
    }

    fn accept(&mut self, frame: Opened, minor: u16) -> Result<Option<Event>, FormatError> {
        let Opened { offset, len, kind, check, body } = frame;
        let body = body?;
        if let Body::Unknown { critical: true } = body {
            let writer = self.writer.clone();
            return Err(Fault::UnknownCritical { frame: kind, minor, writer }.at(offset));
        }
        self.check_order(kind).map_err(|fault| fault.at(offset))?;
        let event = match body {
            Body::Block(block) => self.block(block, offset, len).map(Some),
            Body::Footer(footer) => self.footer(footer),
            Body::Header(header) => {
                self.writer.clone_from(&header.writer);
                Ok(Some(Event::Header(header)))
            }
            Body::Leaf(blocks) => {
                self.leaf(&blocks, LeafEntry::of(&blocks, offset, len, check));
                Ok(None)
            }
            Body::Leases(leases) => self.leases(leases).map(Some),
            Body::Root(leaves) => self.root(&leaves).map(|()| None),
            Body::Unknown { .. } => Ok(Some(Event::Skipped { offset, frame: kind })),
        };
        let event = event.map_err(|fault| fault.at(offset))?;
        self.ledger.offset = offset;
        self.ledger.add_frame(len, &check);
        Ok(event)
    }

    /// Whether a frame of this type may stand behind the frames before it.
    fn check_order(&mut self, kind: u8) -> Result<(), Fault> {
        use FrameType::{Footer, Header, IndexRoot};
        let known = FrameType::from_byte(kind);
        let in_order = match (self.previous, known) {
            (None, _) => known == Some(Header),
            (Some(IndexRoot), _) => known == Some(Footer),
            (Some(Footer), _) | (_, Some(Header | Footer)) => false,
            (Some(before), Some(next)) => before <= next,
            (Some(_), None) => true,
        };
        // A damaged archive may have lost the frame that should be here.
        let excused = self.faults > 0 && known > self.previous;
        if !in_order && !excused {
            return Err(Fault::FrameOrder { frame: kind, after: self.previous.map_or(0, FrameType::byte) });
        }
        self.previous = known.or(self.previous);
        Ok(())
    }

    fn block(&mut self, block: Block, offset: u64, frame_len: usize) -> Result<Event, Fault> {
        let (expected, found) = (self.next_ordinal, block.ordinal());
        // Blocks that were damaged leave gaps, which were reported when they were found.
        if found < expected || (found > expected && self.faults == 0) {
            return Err(Fault::Ordinal { expected, found });
        }
        if !self.ledger.precedes(block.first_key()) {
            return Err(Fault::KeyOrder { key: Bytes::copy_from_slice(block.first_key()) });
        }
        self.next_ordinal = found.saturating_add(1);
        self.ledger.add_block(BlockFacts {
            records: block.record_count(),
            bytes: block.content_bytes(),
            last_key: block.last_key(),
            state_hash: block.state_hash(),
            content_hash: block.content_hash(),
        });
        let [expected, _] = &mut self.index;
        expected.add(&encoded(|out| block.entry(offset, frame_len).put(out)));
        Ok(Event::Block(block))
    }

    fn leases(&mut self, leases: Vec<Lease>) -> Result<Event, Fault> {
        if self.ledger.add_leases(&leases) { Ok(Event::Leases(leases)) } else { Err(Fault::LeaseOrder) }
    }

    fn leaf(&mut self, blocks: &[BlockEntry], entry: LeafEntry) {
        let [_, found] = &mut self.index;
        blocks.iter().for_each(|block| found.add(&encoded(|out| block.put(out))));
        let [expected, _] = &mut self.leaves;
        expected.add(&encoded(|out| entry.put(out)));
    }

    fn root(&mut self, leaves: &[LeafEntry]) -> Result<(), Fault> {
        let [_, found] = &mut self.leaves;
        leaves.iter().for_each(|leaf| found.add(&encoded(|out| leaf.put(out))));
        if self.faults > 0 || (same(&self.index) && same(&self.leaves)) {
            Ok(())
        } else {
            Err(Fault::IndexMismatch)
        }
    }

    fn footer(&mut self, footer: Footer) -> Result<Option<Event>, Fault> {
        let summary = footer.summary;
        let difference = self.ledger.footer().difference(&footer);
        self.end = Some(footer);
        match difference {
            _ if self.faults > 0 => Ok(None),
            Some(what) => Err(Fault::FooterMismatch { what }),
            None => Ok(Some(Event::End(summary))),
        }
    }

    fn verdict(&self, file_len: u64) -> Result<Summary, FormatError> {
        let Ledger { records, blocks, .. } = self.ledger;
        match &self.end {
            None => Err(Fault::Incomplete { records, blocks }.at(file_len)),
            Some(end) if self.faults == 0 => Ok(end.summary),
            Some(Footer { summary, .. }) => {
                Err(Fault::Damaged { faults: self.faults, records, stated: summary.records }.at(file_len))
            }
        }
    }
}

fn encoded(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

fn same(hashes: &[RootHasher; 2]) -> bool {
    let [a, b] = hashes.each_ref().map(RootHasher::root);
    a == b
}
