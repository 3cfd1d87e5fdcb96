//! Which keys an archive has lost: told by the numbers of blocks, the keys of their neighbours, and the index.

use bytes::Bytes;

use super::index::{BlockEntry, is_above, is_cut};
use crate::types::KeyRange;

/// A stretch of keys that an archive has lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostKeys {
    /// No lost key lies outside. It reaches from the first to the last lost key if the index is whole, and
    /// otherwise to the nearest keys that are good.
    pub range: KeyRange,
    /// How many blocks are missing, if that is known.
    pub blocks: Option<u64>,
    /// How many records are missing, if that is known.
    pub records: Option<u64>,
}

/// An archive of nothing but faults must not fill the memory with gaps; the last one covers all that follow.
const MAX_GAPS: usize = 1000;

/// Follows the blocks that are good, and then the index, and notes what lies between.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    gaps: Vec<Gap>,
    next_ordinal: u64,
    /// The last key of the last good block, as the index has keys; empty before the first.
    last_key: Bytes,
    /// What the index has behind that key.
    tail: Run,
    /// Whether some of that is certainly behind it: keys that the index cuts may not be.
    tail_is_behind: bool,
    evidence: Evidence,
}

/// What tells whether blocks are missing at the end.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    /// How many blocks the footer counts.
    expected: Option<u64>,
    /// Behind the last good block stood the frame that follows the last block.
    ended: bool,
    entries: u64,
    index_is_whole: bool,
}

/// Missing blocks between two that are good.
#[derive(Clone, Debug)]
struct Gap {
    after: Bytes,
    before: Option<Bytes>,
    blocks: Option<u64>,
    indexed: Run,
}

/// Consecutive entries of the index.
#[derive(Clone, Debug, Default)]
struct Run {
    first_key: Bytes,
    last_key: Bytes,
    blocks: u64,
    records: u64,
}

impl Gaps {
    /// The same evidence on fewer or more blocks.
    pub(crate) fn without_blocks(&self) -> Self {
        let evidence = Evidence { entries: 0, ..self.evidence };
        Self { evidence, ..Self::default() }
    }

    /// Takes the next good block.
    pub(crate) fn block(&mut self, ordinal: u64, entry: &BlockEntry) {
        if ordinal > self.next_ordinal {
            self.gap_before(entry.first_key.clone(), ordinal - self.next_ordinal);
        }
        self.next_ordinal = ordinal.saturating_add(1);
        self.last_key = entry.last_key.clone();
    }

    fn gap_before(&mut self, key: Bytes, blocks: u64) {
        let full = self.gaps.len() == MAX_GAPS;
        if let Some(last) = self.gaps.last_mut().filter(|_| full) {
            (last.before, last.blocks) = (Some(key), None);
        } else {
            let (after, indexed) = (self.last_key.clone(), Run::default());
            self.gaps.push(Gap { after, before: Some(key), blocks: Some(blocks), indexed });
        }
    }

    /// A frame that follows the last block, right behind a good one.
    pub(crate) fn no_more_blocks(&mut self) {
        self.evidence.ended = true;
    }

    /// Takes the next entry of the index.
    pub(crate) fn indexed(&mut self, entry: &BlockEntry) {
        self.evidence.entries += 1;
        if is_above(&entry.first_key, &self.last_key) {
            self.tail_is_behind |= entry.first_key > self.last_key;
            return self.tail.add(entry);
        }
        let behind = |gap: &Gap| gap.before.as_ref().is_some_and(|before| is_above(&entry.first_key, before));
        let at = self.gaps.partition_point(behind);
        if let Some(gap) = self.gaps.get_mut(at).filter(|gap| gap.may_hold(entry)) {
            gap.indexed.add(entry);
        }
    }

    /// The footer counts this many blocks.
    pub(crate) fn expect(&mut self, blocks: u64) {
        self.evidence.expected = Some(blocks);
    }

    /// Footer, root and leaves agree with each other.
    pub(crate) fn trust_index(&mut self, blocks: u64) {
        self.evidence.index_is_whole = self.evidence.entries == blocks;
    }

    pub(crate) fn index_is_whole(&self) -> bool {
        self.evidence.index_is_whole
    }

    pub(crate) fn lost_keys(&self) -> Vec<LostKeys> {
        let tail = self.tail();
        self.gaps.iter().chain(&tail).map(|gap| gap.lost(self.evidence.index_is_whole)).collect()
    }

    /// What is missing behind the last good block.
    fn tail(&self) -> Option<Gap> {
        let Evidence { expected, ended, index_is_whole, .. } = self.evidence;
        let complete = expected.map_or(ended, |expected| expected == self.next_ordinal);
        if complete && !(index_is_whole && self.tail_is_behind) {
            return None;
        }
        let blocks = expected.and_then(|expected| expected.checked_sub(self.next_ordinal));
        let blocks = blocks.filter(|missing| *missing > 0);
        Some(Gap { after: self.last_key.clone(), before: None, blocks, indexed: self.tail.clone() })
    }
}

impl Gap {
    fn may_hold(&self, entry: &BlockEntry) -> bool {
        let below =
            |before: &Bytes| entry.last_key < *before || (is_cut(before) && entry.last_key == *before);
        is_above(&entry.first_key, &self.after) && self.before.as_ref().is_none_or(below)
    }

    fn lost(&self, index_is_whole: bool) -> LostKeys {
        let Run { first_key, last_key, blocks, records } = &self.indexed;
        let agrees = self.blocks.is_none_or(|missing| missing == *blocks);
        if index_is_whole && *blocks > 0 && agrees {
            let range = KeyRange::from_wire(first_key.clone(), end_behind(last_key));
            return LostKeys { range, blocks: Some(*blocks), records: Some(*records) };
        }
        let start = if is_cut(&self.after) { self.after.clone() } else { behind(&self.after) };
        let end = self.before.as_ref().map_or(OPEN_END, end_before);
        LostKeys { range: KeyRange::from_wire(start, end), blocks: self.blocks, records: None }
    }
}

impl Run {
    fn add(&mut self, entry: &BlockEntry) {
        if self.blocks == 0 {
            self.first_key = entry.first_key.clone();
        }
        self.last_key = entry.last_key.clone();
        self.blocks += 1;
        self.records += u64::from(entry.records);
    }
}

/// etcd's spelling of a range without an end.
const OPEN_END: Bytes = Bytes::from_static(b"\0");

/// The smallest key above this one.
fn behind(key: &[u8]) -> Bytes {
    [key, b"\0"].concat().into()
}

/// The end of a range that holds every key which begins like this one, or this one alone.
fn end_behind(last: &Bytes) -> Bytes {
    if is_cut(last) { KeyRange::prefix(last.clone()).to_wire().1 } else { behind(last) }
}

/// The end of a range that holds what is below a key which begins like this one.
fn end_before(first: &Bytes) -> Bytes {
    if is_cut(first) { end_behind(first) } else { first.clone() }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests may fail by panicking")]
mod tests {
    use super::*;
    use crate::archive::index::index_key;
    use crate::archive::layout::INDEX_KEY_BYTES;

    fn entry(first: impl AsRef<[u8]>, last: impl AsRef<[u8]>) -> BlockEntry {
        let keys = (index_key(first.as_ref()), index_key(last.as_ref()));
        BlockEntry { first_key: keys.0, last_key: keys.1, records: 5, ..BlockEntry::empty() }
    }

    fn index() -> Vec<BlockEntry> {
        ["ac", "df", "gi", "jl"].map(|keys| entry(&keys[..1], &keys[1..])).to_vec()
    }

    /// With these blocks good.
    fn gaps(good: &[usize], with_index: bool) -> Gaps {
        let (index, mut gaps) = (index(), Gaps::default());
        good.iter().for_each(|at| gaps.block(*at as u64, &index[*at]));
        if with_index {
            index.iter().for_each(|entry| gaps.indexed(entry));
            gaps.expect(4);
            gaps.trust_index(4);
        }
        gaps
    }

    fn lost(start: &'static str, end: &'static str) -> LostKeys {
        LostKeys { range: KeyRange::between(start, end), blocks: Some(1), records: None }
    }

    #[test]
    fn what_lies_between_good_blocks_is_told() {
        let mut gaps = gaps(&[0, 2], false);
        gaps.no_more_blocks();
        assert_eq!(gaps.lost_keys(), [lost("c\0", "g")]);
    }

    #[test]
    fn what_lies_before_and_behind_them_is_told() {
        let lost = gaps(&[1, 2], false).lost_keys();
        assert_eq!(lost[0].range, KeyRange::between("\0", "d"));
        assert_eq!((&lost[1].range, lost[1].blocks), (&KeyRange::from_key("i\0"), None));
        assert_eq!(gaps(&[], false).lost_keys()[0].range, KeyRange::all());
    }

    #[test]
    fn a_whole_index_tells_it_exactly() {
        let exact = |range| LostKeys { range, blocks: Some(1), records: Some(5) };
        assert_eq!(gaps(&[0, 2, 3], true).lost_keys(), [exact(KeyRange::between("d", "f\0"))]);
        assert_eq!(gaps(&[0, 1, 2], true).lost_keys(), [exact(KeyRange::between("j", "l\0"))]);
        assert_eq!(gaps(&[1, 2, 3], true).lost_keys(), [exact(KeyRange::between("a", "c\0"))]);
        let all = gaps(&[], true).lost_keys();
        assert_eq!((&all[0].range, all[0].records), (&KeyRange::between("a", "l\0"), Some(20)));
        assert_eq!(gaps(&[0, 1, 2, 3], true).lost_keys(), []);
    }

    #[test]
    fn an_index_that_contradicts_the_blocks_narrows_nothing() {
        let mut gaps = gaps(&[0, 3], false);
        gaps.indexed(&index()[1]);
        gaps.expect(1);
        gaps.trust_index(1);
        assert_eq!(gaps.lost_keys()[0].range, KeyRange::between("c\0", "j"));
    }

    #[test]
    fn keys_that_the_index_cuts_are_inside() {
        let long = |tail: u8| [&[b'k'; INDEX_KEY_BYTES][..], &[tail]].concat();
        let mut gaps = Gaps::default();
        gaps.block(0, &entry("a", long(1)));
        gaps.block(2, &entry(long(5), "z"));
        gaps.no_more_blocks();
        let [lost] = &gaps.lost_keys()[..] else { panic!() };
        assert!((1..=5).all(|tail| lost.range.contains(&long(tail))));
    }

    #[test]
    fn blocks_that_begin_like_the_last_one_are_not_lost_for_that() {
        let long = [b'k'; INDEX_KEY_BYTES + 1];
        let entries = [entry("a", long), entry(long, long), entry(long, long)];
        let mut gaps = Gaps::default();
        (0..).zip(&entries).for_each(|(ordinal, entry)| gaps.block(ordinal, entry));
        gaps.no_more_blocks();
        entries.iter().for_each(|entry| gaps.indexed(entry));
        gaps.expect(3);
        gaps.trust_index(3);
        assert_eq!(gaps.lost_keys(), []);
    }

    #[test]
    fn too_many_gaps_become_one() {
        let mut gaps = Gaps::default();
        for number in 0..3000_u64 {
            let key = format!("{number:04}");
            gaps.block(2 * number + 1, &entry(&key, &key));
        }
        gaps.no_more_blocks();
        let lost = gaps.lost_keys();
        assert_eq!(lost.len(), MAX_GAPS);
        assert!(lost[MAX_GAPS - 1].range.contains(b"2998!"));
    }
}
