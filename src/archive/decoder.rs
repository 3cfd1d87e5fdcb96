//! Reading an archive front to back.

use std::mem;

use bytes::{Buf, BytesMut};

use super::block::Block;
use super::checker::Checker;
use super::error::{Fault, FormatError};
use super::facts::{Auth, Members, Options};
use super::footer::Summary;
use super::frame::{Frame, Place, compare_check, read_preamble, stated_frame_len};
use super::header::Header;
use super::index::IndexLeaf;
use super::layout::{MARKER, MARKER_LEN, MAX_SEARCHED_BYTES, MAX_SEARCHES, PREAMBLE_LEN};
use super::lease::Lease;
use super::lost::{Gaps, LostKeys};
use super::opened::Opened;

/// Something that was read and verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// What was backed up. The first event.
    Header(Header),
    /// The next records.
    Block(Block),
    /// A whole block where it does not belong, behind the fault that says so: one that was moved, copied or
    /// taken from elsewhere. Its records may have been read before, or may be none of this archive's.
    Misplaced(Block),
    /// Leases, ascending by id.
    Leases(Vec<Lease>),
    /// Users and roles.
    Auth(Auth),
    /// Members and alarms.
    Members(Members),
    /// How the backup was made.
    Options(Options),
    /// A part of the index, which is about blocks that have passed.
    Index(IndexLeaf),
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

/// What a frame came to: a fault, an event, both or neither.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Accepted {
    /// What is wrong with the frame, or with its place.
    pub fault: Option<FormatError>,
    /// What it holds.
    pub event: Option<Event>,
    /// How the frame was come by.
    pub(crate) place: Place,
}

/// Takes an archive apart, front to back, from pieces of any size.
///
/// Feed it, take events until there is none, feed it again; at the end of the input call
/// [`Decoder::finish`]. At any time it holds what was fed, which is at most one frame and one
/// piece if events are taken in between; nothing in a file makes it hold more.
///
/// After a fault that is not fatal it goes on with the next frame, and looks for it where it does not
/// begin right behind, so that what is left of a damaged archive can be read: then call
/// [`Decoder::close`] before the last events are taken. [`Event::End`] comes only if there was no
/// fault at all.
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
    /// No more bytes will come.
    closed: bool,
    footer_pulled: bool,
    /// Where the next frame begins is unknown.
    searching: bool,
    /// It was found by a search.
    found: bool,
    /// How often the next frame was found by a search.
    searches: usize,
    /// Bytes that looked like frames in a search, and were none.
    searched: u64,
    /// An event behind the fault that was given last.
    held: Option<Event>,
    fatal: Option<FormatError>,
    /// On the heap: its hashers are large, and decoders live in futures.
    checker: Box<Checker>,
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
            closed: false,
            footer_pulled: false,
            searching: false,
            found: false,
            searches: 0,
            searched: 0,
            held: None,
            fatal: None,
            checker: Box::new(Checker::new(&[])),
        }
    }

    /// Takes the next bytes of the archive.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that the input has ended, for those who go on behind faults: frames may be left behind a length
    /// that is damaged.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The next event, or `None` if it takes more bytes, or the archive has ended.
    ///
    /// # Errors
    ///
    /// What is wrong with the archive. After a [fatal](FormatError::is_fatal) fault every call
    /// gives the same; after any other the next call goes on behind it.
    pub fn next_event(&mut self) -> Result<Option<Event>, FormatError> {
        loop {
            if let Some(event) = self.held.take() {
                return Ok(Some(event));
            }
            let Some(frame) = self.pull()? else { return Ok(None) };
            let accepted = self.accept(frame.open());
            self.held = accepted.event;
            if let Some(fault) = accepted.fault {
                return Err(fault);
            }
        }
    }

    /// The next frame, its check compared: the first of three steps that [`Decoder::next_event`] takes
    /// at once. [`Frame::open`] may then run on another thread; [`Decoder::accept`] takes the
    /// results, in the order of the frames.
    ///
    /// # Errors
    ///
    /// Fatal faults only. Other faults are frames too: opening and accepting them tells what they are.
    pub fn pull(&mut self) -> Result<Option<Frame>, FormatError> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        self.try_pull().inspect_err(|error| self.fatal = Some(error.clone()))
    }

    fn try_pull(&mut self) -> Result<Option<Frame>, FormatError> {
        if self.footer_pulled && self.buffer.has_remaining() {
            self.footer_pulled = false;
            return Ok(Some(Frame::damaged(Fault::TrailingBytes, self.offset, Place::Following)));
        }
        if self.minor.is_none() {
            return self.preamble();
        }
        if self.searching && !self.search()? {
            return Ok(None);
        }
        match stated_frame_len(&self.buffer, self.offset) {
            Ok(len) if len <= self.buffer.len() => Ok(self.whole(len)),
            Ok(_) => self.unfinished(),
            Err(FormatError { fault: Fault::Truncated, .. }) => self.unfinished(),
            Err(error) => Ok(Some(self.lose(error.fault))),
        }
    }

    /// Takes the preamble; then goes on, unless it is damaged.
    fn preamble(&mut self) -> Result<Option<Frame>, FormatError> {
        // A marker behind the preamble tells a damaged archive from what is none.
        if self.buffer.len() < PREAMBLE_LEN + MARKER_LEN && !self.closed {
            return Ok(None);
        }
        let read = read_preamble(&self.buffer);
        let is_archive = self.buffer.get(PREAMBLE_LEN..).is_some_and(|rest| rest.starts_with(&MARKER));
        let (minor, damaged) = match read {
            Ok(minor) => (minor, false),
            Err(FormatError { fault: Fault::Truncated, .. }) => return Ok(None),
            Err(FormatError { fault: Fault::NotAnArchive | Fault::TextMode, .. }) if is_archive => (0, true),
            Err(error) => return Err(error),
        };
        self.minor = Some(minor);
        *self.checker = Checker::new(self.buffer.get(..PREAMBLE_LEN).unwrap_or_default());
        self.skip(PREAMBLE_LEN);
        if damaged {
            Ok(Some(Frame::damaged(Fault::PreambleDamaged, 0, Place::Following)))
        } else {
            self.try_pull()
        }
    }

    /// The frame at the front, all of which is there, whether it is good or not.
    fn whole(&mut self, len: usize) -> Option<Frame> {
        let (bytes, behind) = self.buffer.split_at_checked(len)?;
        let Err(fault) = compare_check(bytes) else { return Some(self.good(len)) };
        // What is damaged may be the length.
        if behind.len() < MARKER_LEN && !self.closed {
            return None;
        }
        if behind.starts_with(&MARKER) {
            let damaged = Frame::damaged(fault, self.offset, Place::Following);
            self.skip(len);
            return Some(damaged);
        }
        Some(self.lose(fault))
    }

    fn good(&mut self, len: usize) -> Frame {
        let place = if mem::take(&mut self.found) { Place::Found } else { Place::Following };
        let frame = Frame::new(self.buffer.split_to(len).freeze(), self.offset, place);
        self.offset += len as u64;
        self.footer_pulled = frame.looks_like_footer();
        frame
    }

    /// A frame that is not all there. If no more will come its length may be wrong, and others lie in it.
    fn unfinished(&mut self) -> Result<Option<Frame>, FormatError> {
        let begins = self.offset;
        if !self.closed || self.buffer.is_empty() {
            return Ok(None);
        }
        self.skip(1);
        let found = self.search()?;
        Ok(found.then(|| Frame::damaged(Fault::LostFrame, begins, Place::Lost)))
    }

    /// Takes note of a fault behind which the next frame must be looked for.
    fn lose(&mut self, fault: Fault) -> Frame {
        let damaged = Frame::damaged(fault, self.offset, Place::Lost);
        self.searching = true;
        self.skip(1);
        damaged
    }

    /// Skips to the next place where all of a frame stands and its check agrees. `false` if there is none
    /// in the bytes at hand.
    fn search(&mut self) -> Result<bool, FormatError> {
        self.searching = true;
        loop {
            self.skip(next_marker(&self.buffer));
            match stated_frame_len(&self.buffer, self.offset) {
                Ok(len) if len <= self.buffer.len() => {
                    if self.buffer.get(..len).is_some_and(|bytes| compare_check(bytes).is_ok()) {
                        (self.searching, self.found) = (false, true);
                        self.searches += 1;
                        return self.give_up().map(|()| true);
                    }
                    self.searched += len as u64;
                    self.give_up()?;
                }
                Ok(_) | Err(FormatError { fault: Fault::Truncated, .. }) if !self.closed => return Ok(false),
                _ if self.buffer.is_empty() => return Ok(false),
                _ => {}
            }
            self.skip(1);
        }
    }

    /// A file of nothing but markers must not keep a reader busy for ever.
    fn give_up(&self) -> Result<(), FormatError> {
        if self.searched > MAX_SEARCHED_BYTES || self.searches > MAX_SEARCHES {
            return Err(Fault::SearchGivenUp.at(self.offset));
        }
        Ok(())
    }

    fn skip(&mut self, len: usize) {
        self.buffer.advance(len);
        self.offset += len as u64;
    }

    /// Holds a frame against those before it, and tells what came of it. A fatal fault is the last that
    /// is told.
    pub fn accept(&mut self, frame: Opened) -> Accepted {
        if let Some(fatal) = &self.fatal {
            return Accepted { fault: Some(fatal.clone()), ..Accepted::default() };
        }
        let accepted = self.checker.accept(frame, self.minor.unwrap_or_default());
        self.fatal = accepted.fault.clone().filter(FormatError::is_fatal);
        accepted
    }

    /// Which keys the archive has lost, as far as that can be told: complete once everything was taken
    /// from a decoder that was [closed](Decoder::close). Empty if no key is missing.
    #[must_use]
    pub fn lost_keys(&self) -> Vec<LostKeys> {
        self.gaps().lost_keys()
    }

    pub(crate) fn gaps(&self) -> &Gaps {
        self.checker.gaps()
    }

    /// Tells, at the end of the input, whether that was a whole archive.
    ///
    /// # Errors
    ///
    /// The fatal fault, if there was one; [`Fault::Incomplete`] if there was no footer;
    /// [`Fault::Damaged`] if faults were reported on the way.
    pub fn finish(mut self) -> Result<Summary, FormatError> {
        // Whoever takes no event behind the footer has not seen what follows it.
        self.close();
        if let Some(frame) = self.pull()?
            && let Some(fault) = self.accept(frame.open()).fault
        {
            return Err(fault);
        }
        self.checker.verdict(self.offset + self.buffer.len() as u64)
    }
}

/// Where the next marker begins, or may begin with what is still to come.
fn next_marker(bytes: &[u8]) -> usize {
    let whole = bytes.windows(MARKER_LEN).position(|window| window == MARKER);
    whole.unwrap_or_else(|| {
        let tails = bytes.len().saturating_sub(MARKER_LEN - 1)..bytes.len();
        tails
            .clone()
            .find(|at| bytes.get(*at..).is_some_and(|tail| MARKER.starts_with(tail)))
            .unwrap_or(tails.end)
    })
}
