//! What frames hold.

use super::block::Block;
use super::error::{Fault, FormatError};
use super::facts::{Auth, Facts, Members, Options};
use super::footer::Footer;
use super::frame::{Frame, Place};
use super::hash::Hash;
use super::header::Header;
use super::index::{IndexLeaf, IndexRoot};
use super::layout::{CRITICAL, FrameType};
use super::lease::Lease;

impl Frame {
    /// Decompresses, checks and parses the frame: the work of reading an archive, and free of any
    /// state, so that many threads can share it.
    #[must_use]
    pub fn open(self) -> Opened {
        let body = self.content();
        let (offset, place) = (self.offset(), self.place);
        Opened { offset, len: self.len(), kind: self.kind(), check: self.check(), place, body }
    }

    fn content(&self) -> Result<Body, FormatError> {
        match &self.fault {
            Some(fault) => Err(fault.clone().at(self.offset())),
            None => self.check_reserved().and_then(|()| self.parse()),
        }
    }

    fn parse(&self) -> Result<Body, FormatError> {
        let payload = self.payload();
        let Some(kind) = FrameType::from_byte(self.kind()) else {
            return Ok(Body::Unknown { critical: self.kind() & CRITICAL != 0 });
        };
        let malformed = |what| Fault::Malformed { what }.at(self.offset());
        match kind {
            FrameType::Block => Block::open(payload, self.offset()).map(Body::Block),
            FrameType::Header => {
                Header::decode(&payload).map(Body::Header).map_err(|_| malformed("the header"))
            }
            FrameType::Leases => {
                Vec::<Lease>::decode(&payload).map(Body::Leases).map_err(|_| malformed("a lease frame"))
            }
            FrameType::Auth => {
                Auth::decode(&payload).map(Body::Auth).map_err(|_| malformed("the users and roles"))
            }
            FrameType::Members => {
                Members::decode(&payload).map(Body::Members).map_err(|_| malformed("the members"))
            }
            FrameType::Options => {
                Options::decode(&payload).map(Body::Options).map_err(|_| malformed("the options"))
            }
            FrameType::IndexLeaf => {
                IndexLeaf::decode(&payload).map(Body::Leaf).map_err(|_| malformed("an index leaf"))
            }
            FrameType::IndexRoot => {
                IndexRoot::decode(&payload).map(Body::Root).map_err(|_| malformed("the index root"))
            }
            FrameType::Footer => {
                Footer::decode(&payload).map(Body::Footer).ok_or_else(|| malformed("the footer"))
            }
        }
    }
}

/// A frame's content, checked as far as it can be without the frames before it.
#[derive(Clone, Debug)]
pub struct Opened {
    pub(crate) offset: u64,
    pub(crate) len: usize,
    pub(crate) kind: u8,
    pub(crate) check: Hash,
    pub(crate) place: Place,
    pub(crate) body: Result<Body, FormatError>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Block(Block),
    Footer(Footer),
    Header(Header),
    Auth(Auth),
    Leaf(IndexLeaf),
    Leases(Vec<Lease>),
    Members(Members),
    Options(Options),
    Root(IndexRoot),
    Unknown { critical: bool },
}
