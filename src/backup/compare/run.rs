//! Stretches of records on one side of a comparison. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::archive::{BlockEntry, content_hash, state_hash};
use crate::backup::leasing::Leasing;
use crate::types::KeyValue;

/// Consecutive records, read or only known by their hashes.
#[derive(Debug)]
pub(in crate::backup) struct Run {
    pub(in crate::backup) records: u64,
    /// Set as long as this is a whole block of a state.
    hashes: Option<Hashes>,
    /// Whether a record may have a lease.
    leased: bool,
    content: Content,
}

/// What stands for the records of a whole block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashes {
    /// Not made where it decides nothing.
    state: Option<[u8; 32]>,
    content: [u8; 32],
}

impl From<&BlockEntry> for Hashes {
    fn from(entry: &BlockEntry) -> Self {
        Self { state: Some(entry.state_hash), content: entry.content_hash }
    }
}

impl Hashes {
    pub(super) fn of(kvs: &[KeyValue], with_state: bool) -> Self {
        Self { state: with_state.then(|| state_hash(kvs)), content: content_hash(kvs) }
    }

    fn same_state(&self, other: &Self) -> bool {
        self.state.is_some() && self.state == other.state
    }
}

#[derive(Debug)]
enum Content {
    Sealed(BlockEntry),
    Open(VecDeque<KeyValue>),
}

impl Run {
    /// A block of an archive that nobody has read yet.
    pub(super) fn sealed(entry: BlockEntry, leased: bool) -> Self {
        let hashes = Some(Hashes::from(&entry));
        Self { records: entry.records.into(), hashes, leased, content: Content::Sealed(entry) }
    }

    /// Records that make up a whole block of a state.
    pub(super) fn block(kvs: Vec<KeyValue>, hashes: Hashes) -> Self {
        Self { hashes: Some(hashes), ..Self::open(kvs) }
    }

    /// As [`Run::block`], with the leases that the records are to have. With others it is no block of the state.
    pub(super) fn releasing(kvs: Vec<KeyValue>, hashes: Hashes, leasing: &Leasing) -> Self {
        if leasing.changes_leases() && kvs.iter().any(|kv| kv.lease.is_some()) {
            return Self::open(kvs.into_iter().map(|kv| leasing.restored(kv)).collect());
        }
        Self::block(kvs, hashes)
    }

    /// Any records.
    pub(super) fn open(kvs: Vec<KeyValue>) -> Self {
        let leased = kvs.iter().any(|kv| kv.lease.is_some());
        Self { records: kvs.len() as u64, hashes: None, leased, content: Content::Open(kvs.into()) }
    }

    /// Whether both are whole blocks of the same records, as far as hashes can tell.
    pub(super) fn equals(&self, other: &Self, leases_count: bool) -> bool {
        let (Some(ours), Some(theirs)) = (self.hashes, other.hashes) else { return false };
        let content_decides = !leases_count || !(self.leased || other.leased);
        ours.same_state(&theirs) || (content_decides && ours.content == theirs.content)
    }

    /// Whether both are whole blocks of records that are the same in all respects.
    pub(super) fn is_identical(&self, other: &Self) -> bool {
        self.hashes.zip(other.hashes).is_some_and(|(ours, theirs)| ours.same_state(&theirs))
    }

    /// BLAKE3-256 of keys and values, if this is a whole block.
    pub(in crate::backup) fn content_hash(&self) -> Option<[u8; 32]> {
        self.hashes.map(|hashes| hashes.content)
    }

    /// The entry of the block to read, if it was not read yet.
    pub(super) fn unread(&self) -> Option<&BlockEntry> {
        match &self.content {
            Content::Sealed(entry) => Some(entry),
            Content::Open(_) => None,
        }
    }

    /// Whether every key is certainly below this one, as far as is known without reading.
    pub(in crate::backup) fn ends_before(&self, key: &[u8]) -> bool {
        self.unread().is_some_and(|entry| knows_last_key(entry) && entry.last_key < key)
    }

    /// The next record's key; `None` at the end, or if it was not read yet.
    pub(super) fn key(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Sealed(_) => None,
            Content::Open(kvs) => kvs.front().map(|kv| &kv.key),
        }
    }

    /// Takes the next record: the rest is no whole block any more.
    pub(super) fn pop(&mut self) -> Option<KeyValue> {
        let Content::Open(kvs) = &mut self.content else { return None };
        let kv = kvs.pop_front()?;
        self.hashes = None;
        self.records -= 1;
        Some(kv)
    }

    /// Bytes of keys and values; 0 if they were not read.
    pub(super) fn bytes(&self) -> u64 {
        match &self.content {
            Content::Sealed(_) => 0,
            Content::Open(kvs) => kvs.iter().map(super::bytes).sum(),
        }
    }

    /// The records; none if they were not read.
    pub(in crate::backup) fn into_records(self) -> VecDeque<KeyValue> {
        match self.content {
            Content::Sealed(_) => VecDeque::new(),
            Content::Open(kvs) => kvs,
        }
    }
}

/// The index holds at most this much of a key: one of that length may be longer.
const INDEX_KEY_BYTES: usize = 1024;

/// Whether the entry has the whole of the block's last key.
pub(super) fn knows_last_key(entry: &BlockEntry) -> bool {
    entry.last_key.len() < INDEX_KEY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LeaseId, Revision};

    fn run(mod_revision: i64, value: &str, lease: Option<i64>) -> Run {
        let kv = KeyValue {
            key: "k".into(),
            value: value.to_owned().into(),
            create_revision: Revision(1),
            mod_revision: Revision(mod_revision),
            version: 1,
            lease: lease.map(LeaseId),
        };
        let hashes = Hashes::of(std::slice::from_ref(&kv), true);
        Run::block(vec![kv], hashes)
    }

    #[test]
    fn content_decides_where_no_lease_can_differ() {
        assert!(run(1, "v", None).equals(&run(2, "v", None), true));
        assert!(run(1, "v", Some(7)).equals(&run(1, "v", Some(7)), true), "the whole state is the same");
        assert!(!run(1, "v", Some(7)).equals(&run(2, "v", Some(8)), true));
        assert!(run(1, "v", Some(7)).equals(&run(2, "v", Some(8)), false));
        assert!(!run(1, "v", None).equals(&run(1, "w", None), false));
    }

    #[test]
    fn identical_is_more_than_the_same_content() {
        assert!(run(1, "v", Some(7)).is_identical(&run(1, "v", Some(7))));
        assert!(!run(1, "v", None).is_identical(&run(2, "v", None)));
        assert!(!Run::open(vec![]).is_identical(&Run::open(vec![])));
    }

    #[test]
    fn a_run_that_was_begun_is_no_whole_block() {
        let mut begun = run(1, "v", None);
        assert!(begun.pop().is_some() && begun.records == 0);
        assert!(!begun.equals(&run(1, "v", None), false));
        assert!(!Run::open(vec![]).equals(&Run::open(vec![]), false));
    }
}
