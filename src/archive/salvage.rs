//! What of a damaged archive can be trusted.

use std::collections::{BTreeMap, HashMap};

use super::block::Block;
use super::decoder::{Accepted, Decoder, Event};
use super::frame::Place;
use super::hash::Hash;
use super::index::{BlockEntry, is_above};
use super::lost::LostKeys;

/// Notes what a [`Decoder`] finds in a damaged archive, and tells at the end which blocks are the archive's own.
///
/// A value may hold what looks like frames, be it a backup of this very kind or somebody's malice. What is
/// found behind damage is therefore held against the index. If the index is lost too, frames that a search
/// has found count only if they lead on to the end of the file.
///
/// Memory grows with the number of blocks, by a few hundred bytes each.
#[derive(Debug, Default)]
pub struct Salvage {
    found: Vec<Found>,
    index: Vec<BlockEntry>,
    /// How often the next frame had to be searched for.
    segment: usize,
    /// How much of the index had been read until then.
    indexed: usize,
}

/// What is left of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// The blocks that are whole and the archive's own, in key order.
    pub blocks: Vec<BlockEntry>,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Which keys are missing.
    pub lost: Vec<LostKeys>,
}

#[derive(Clone, Debug)]
struct Found {
    ordinal: u64,
    entry: BlockEntry,
    bytes: u64,
    in_order: bool,
    segment: usize,
}

impl Salvage {
    /// Before the first frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the decoder has accepted.
    pub fn note(&mut self, accepted: &Accepted) {
        match accepted.place {
            Place::Following => {}
            Place::Found => {
                self.segment += 1;
                self.indexed = self.index.len();
            }
            Place::Lost => self.leave_segment(),
        }
        match &accepted.event {
            Some(Event::Block(block)) => self.add(block, true),
            Some(Event::Misplaced(block)) => self.add(block, false),
            Some(Event::Index(leaf)) => self.index.extend_from_slice(leaf.blocks()),
            _ => {}
        }
    }

    fn add(&mut self, block: &Block, in_order: bool) {
        let (ordinal, entry, bytes) = (block.ordinal(), block.entry(), block.content_bytes());
        self.found.push(Found { ordinal, entry, bytes, in_order, segment: self.segment });
    }

    /// What a search had found has led to where there is no frame.
    fn leave_segment(&mut self) {
        if self.segment > 0 {
            let segment = self.segment;
            let astray = self.found.iter_mut().rev().take_while(|found| found.segment == segment);
            astray.for_each(|found| found.in_order = false);
            self.index.truncate(self.indexed);
        }
    }

    /// What is left, once the decoder was closed and everything taken from it.
    #[must_use]
    pub fn finish(self, decoder: &Decoder) -> Salvaged {
        let kept = if decoder.gaps().index_is_whole() { self.in_index() } else { None };
        let kept = kept.unwrap_or_else(|| self.in_order());
        let mut gaps = decoder.gaps().without_blocks();
        kept.iter().for_each(|(ordinal, found)| gaps.block(*ordinal, &found.entry));
        self.index.iter().for_each(|entry| gaps.indexed(entry));
        let bytes = kept.values().map(|found| found.bytes).sum();
        let blocks = kept.into_values().map(|found| found.entry).collect();
        Salvaged { blocks, bytes, lost: gaps.lost_keys() }
    }

    /// The blocks that the index knows, wherever they are; `None` if it knows none of them: then it is
    /// another archive's. `None` as well if it does not have them in order: then it is forged.
    fn in_index(&self) -> Option<BTreeMap<u64, Found>> {
        let known: HashMap<&Hash, u64> = self.index.iter().map(|entry| &entry.state_hash).zip(0..).collect();
        let kept: BTreeMap<_, _> = self
            .found
            .iter()
            .filter_map(|found| Some((*known.get(&found.entry.state_hash)?, found.clone())))
            .collect();
        let in_order =
            kept.values().is_sorted_by(|one, next| is_above(&next.entry.first_key, &one.entry.last_key));
        (in_order && (self.found.is_empty() || !kept.is_empty())).then_some(kept)
    }

    fn in_order(&self) -> BTreeMap<u64, Found> {
        let trusted = self.found.iter().filter(|found| found.in_order);
        trusted.map(|found| (found.ordinal, found.clone())).collect()
    }
}
