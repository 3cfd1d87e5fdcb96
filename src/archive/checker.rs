//! Frames held against those before them.

use bytes::Bytes;

use super::block::Block;
use super::decoder::{Accepted, Event};
use super::error::{Fault, FormatError};
use super::footer::{Footer, Summary};
use super::frame::Place;
use super::hash::{Hash, RootHasher};
use super::index::{FrameEntry, IndexLeaf, IndexRoot, LeafEntry};
use super::layout::FrameType;
use super::lease::Lease;
use super::ledger::{BlockFacts, Ledger};
use super::lost::Gaps;
use super::opened::{Body, Opened};

/// What stands between a frame and the event that it makes.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    ledger: Ledger,
    previous: Option<FrameType>,
    writer: String,
    /// The index as it should be and as it is, each as one hash: an index can't be held in memory
    /// that is bounded.
    index: [RootHasher; 2],
    leaves: [RootHasher; 2],
    frames: [RootHasher; 2],
    /// The checks of the leaves, as they are and as the root has them: they agree in an index that is whole,
    /// even if what it is about has moved.
    checks: [RootHasher; 2],
    next_ordinal: u64,
    faults: u64,
    /// Whether there was no fault since the last good block.
    unbroken: bool,
    gaps: Gaps,
    end: Option<Footer>,
    /// How things stood before frames that a search found.
    before_search: Option<Box<Self>>,
}

impl Checker {
    pub(crate) fn new(preamble: &[u8]) -> Self {
        let pair = || [RootHasher::new(&[]), RootHasher::new(&[])];
        Self {
            ledger: Ledger::new(preamble),
            previous: None,
            writer: String::new(),
            index: pair(),
            leaves: pair(),
            frames: pair(),
            checks: pair(),
            next_ordinal: 0,
            faults: 0,
            unbroken: true,
            gaps: Gaps::default(),
            end: None,
            before_search: None,
        }
    }

    pub(crate) fn accept(&mut self, frame: Opened, minor: u16) -> Accepted {
        let (offset, place) = (frame.offset, frame.place);
        match place {
            Place::Following => {}
            Place::Found => self.before_search = Some(Box::new(self.clone())),
            Place::Lost => self.forget_search(),
        }
        let (event, fault) = match self.admit(frame, minor) {
            Ok((event, fault)) => (event, fault.map(|fault| fault.at(offset))),
            Err(refused) => (None, Some(refused)),
        };
        if fault.is_some() {
            self.faults += 1;
            // What is wrong with the place of a good block lies before it.
            self.unbroken = matches!(event, Some(Event::Block(_)));
        }
        Accepted { fault, event, place }
    }

    /// What a search found has led to where there is no frame: it may have been part of a value.
    fn forget_search(&mut self) {
        if let Some(before) = self.before_search.take() {
            let faults = self.faults;
            *self = Self { faults, ..*before };
        }
    }

    /// What a frame holds, and what is wrong with its place; an error if nothing can be taken from it.
    fn admit(&mut self, frame: Opened, minor: u16) -> Result<(Option<Event>, Option<Fault>), FormatError> {
        let Opened { offset, len, kind, check, body, .. } = frame;
        let body = body?;
        if let Body::Unknown { critical: true } = body {
            let writer = self.writer.clone();
            return Err(Fault::UnknownCritical { frame: kind, minor, writer }.at(offset));
        }
        let (missing, body) = match (self.check_order(kind), body) {
            (Ok(missing), body) => (missing, body),
            (Err(fault), Body::Block(block)) => return Ok((Some(Event::Misplaced(block)), Some(fault))),
            (Err(fault), _) => return Err(fault.at(offset)),
        };
        self.ledger.offset = offset;
        if is_listed(kind) {
            let [expected, _] = &mut self.frames;
            expected.add(&encoded(|out| FrameEntry::of(kind, offset, len, check).put(out)));
        }
        let (event, fault) = match body {
            Body::Block(block) => self.block(block),
            Body::Footer(footer) => self.footer(footer),
            Body::Header(header) => {
                self.writer.clone_from(&header.writer);
                (Some(Event::Header(header)), None)
            }
            Body::Leaf(leaf) => self.leaf(leaf, offset, len, check),
            Body::Leases(leases) => self.leases(leases),
            Body::Root(root) => (None, self.root(&root)),
            Body::Auth(auth) => (Some(Event::Auth(auth)), None),
            Body::Members(members) => (Some(Event::Members(members)), None),
            Body::Options(options) => (Some(Event::Options(options)), None),
            Body::Unknown { .. } => (Some(Event::Skipped { offset, frame: kind }), None),
        };
        self.ledger.add_frame(len, &check);
        Ok((event, missing.or(fault)))
    }

    /// Whether a frame of this type may stand behind the frames before it; a fault that is no error if
    /// something is missing in between.
    fn check_order(&mut self, kind: u8) -> Result<Option<Fault>, Fault> {
        use FrameType::{Auth, Footer, Header, IndexRoot, Members, Options};
        let known = FrameType::from_byte(kind);
        let in_order = match (self.previous, known) {
            (None, _) => known == Some(Header),
            (Some(IndexRoot), _) => known == Some(Footer),
            (Some(Footer), _) | (_, Some(Header | Footer)) => false,
            (Some(before), Some(next @ (Auth | Members | Options))) => before < next,
            (Some(before), Some(next)) => before <= next,
            (Some(_), None) => true,
        };
        let fault = Fault::FrameOrder { frame: kind, after: self.previous.map_or(0, FrameType::byte) };
        if !in_order && known <= self.previous {
            return Err(fault);
        }
        self.previous = known.or(self.previous);
        if self.unbroken && known > Some(FrameType::Block) {
            self.gaps.no_more_blocks();
        }
        // A damaged archive may have lost the frame that should be here, which was reported then.
        Ok((!in_order && self.faults == 0).then_some(fault))
    }

    fn block(&mut self, block: Block) -> (Option<Event>, Option<Fault>) {
        let (expected, found) = (self.next_ordinal, block.ordinal());
        // A block that was damaged leaves a gap, which was reported when it was found.
        let out_of_turn = found < expected || (found > expected && self.unbroken);
        let fault = out_of_turn.then_some(Fault::Ordinal { expected, found });
        if found < expected || !self.ledger.precedes(block.first_key()) {
            let key = Bytes::copy_from_slice(block.first_key());
            return (Some(Event::Misplaced(block)), fault.or(Some(Fault::KeyOrder { key })));
        }
        self.unbroken = true;
        self.count(&block);
        (Some(Event::Block(block)), fault)
    }

    fn count(&mut self, block: &Block) {
        self.next_ordinal = block.ordinal().saturating_add(1);
        self.ledger.add_block(BlockFacts {
            records: block.record_count(),
            bytes: block.content_bytes(),
            last_key: block.last_key(),
            state_hash: block.state_hash(),
            content_hash: block.content_hash(),
        });
        let entry = block.entry();
        self.gaps.block(block.ordinal(), &entry);
        let [expected, _] = &mut self.index;
        expected.add(&encoded(|out| entry.put(out)));
    }

    fn leases(&mut self, leases: Vec<Lease>) -> (Option<Event>, Option<Fault>) {
        if self.ledger.add_leases(&leases) {
            (Some(Event::Leases(leases)), None)
        } else {
            (None, Some(Fault::LeaseOrder))
        }
    }

    fn leaf(
        &mut self,
        leaf: IndexLeaf,
        offset: u64,
        len: usize,
        check: Hash,
    ) -> (Option<Event>, Option<Fault>) {
        let [_, found] = &mut self.index;
        for block in leaf.blocks() {
            found.add(&encoded(|out| block.put(out)));
            self.gaps.indexed(block);
        }
        let [expected, _] = &mut self.leaves;
        expected.add(&encoded(|out| LeafEntry::of(leaf.blocks(), offset, len, check).put(out)));
        let [present, _] = &mut self.checks;
        present.add(&check);
        (Some(Event::Index(leaf)), None)
    }

    fn root(&mut self, root: &IndexRoot) -> Option<Fault> {
        let leaves = root.leaves();
        let [_, found] = &mut self.frames;
        root.frames().iter().for_each(|frame| found.add(&encoded(|out| frame.put(out))));
        let [_, found] = &mut self.leaves;
        leaves.iter().for_each(|leaf| found.add(&encoded(|out| leaf.put(out))));
        let [_, stated] = &mut self.checks;
        leaves.iter().for_each(|leaf| stated.add(&leaf.check));
        let agrees = self.faults > 0 || (same(&self.index) && same(&self.leaves) && same(&self.frames));
        if agrees { None } else { Some(Fault::IndexMismatch) }
    }

    fn footer(&mut self, footer: Footer) -> (Option<Event>, Option<Fault>) {
        let summary = footer.summary;
        let difference = self.ledger.footer().difference(&footer);
        self.gaps.expect(summary.blocks);
        if same(&self.checks) && footer.index_root_check == self.ledger.footer().index_root_check {
            self.gaps.trust_index(summary.blocks);
        }
        self.end = Some(footer);
        match difference {
            _ if self.faults > 0 => (None, None),
            Some(what) => (None, Some(Fault::FooterMismatch { what })),
            None => (Some(Event::End(summary)), None),
        }
    }

    pub(crate) fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Whether this was a whole archive, of this length.
    pub(crate) fn verdict(&self, file_len: u64) -> Result<Summary, FormatError> {
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

/// Whether the index root has an entry for frames of this type: unless they are part of the index or in it.
fn is_listed(kind: u8) -> bool {
    use FrameType::{Block, Footer, IndexLeaf, IndexRoot};
    !matches!(FrameType::from_byte(kind), Some(Block | IndexLeaf | IndexRoot | Footer))
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
