//! Changes in portions that a server takes as one transaction. Pure.

use std::mem;

use bytes::Bytes;

use crate::types::{KeyValue, LeaseId, Revision};

/// etcd's `--max-txn-ops`, as it is by default.
const MAX_CHANGES: usize = 128;
/// Well below etcd's `--max-request-bytes`, 1.5 MiB by default: large transactions hold up others.
const MAX_BYTES: usize = 1 << 20;
/// What a change costs in a transaction besides its own bytes: tags, lengths, the lease.
const OVERHEAD: usize = 96;

/// What is done to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: Bytes,
    pub(super) to: Target,
    /// Only if the key was last put at this revision; 0 is a key that does not exist. `None` is in any case.
    pub(super) guard: Option<Revision>,
}

/// What a key is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Put { value: Bytes, lease: Option<LeaseId> },
    Gone,
}

impl Change {
    pub(super) fn put(kv: KeyValue, guard: Option<Revision>) -> Self {
        Self { key: kv.key, to: Target::Put { value: kv.value, lease: kv.lease }, guard }
    }

    pub(super) fn delete(key: Bytes, guard: Option<Revision>) -> Self {
        Self { key, to: Target::Gone, guard }
    }

    pub(super) fn lease(&self) -> Option<LeaseId> {
        match &self.to {
            Target::Put { lease, .. } => *lease,
            Target::Gone => None,
        }
    }

    /// Bytes of key and value that are written.
    pub(super) fn bytes(&self) -> u64 {
        match &self.to {
            Target::Put { value, .. } => (self.key.len() + value.len()) as u64,
            Target::Gone => 0,
        }
    }

    /// Whether this is what the key holds: an attempt whose answer was lost leaves it so.
    pub(super) fn is_done(&self, found: Option<&KeyValue>) -> bool {
        match (&self.to, found) {
            (Target::Put { value, lease }, Some(kv)) => kv.value == value && kv.lease == *lease,
            (Target::Gone, None) => true,
            _ => false,
        }
    }

    /// Whether the guard lets the change pass where the key holds this.
    pub(super) fn may_pass(&self, found: Option<&KeyValue>) -> bool {
        let revision = found.map_or(Revision(0), |kv| kv.mod_revision);
        self.guard.is_none_or(|guard| guard == revision)
    }

    fn cost(&self) -> usize {
        match &self.to {
            Target::Put { value, .. } => cost(&self.key, value),
            Target::Gone => cost(&self.key, &[]),
        }
    }
}

/// The key goes thrice: compared, put, and read where the comparison fails.
pub(super) fn cost(key: &[u8], value: &[u8]) -> usize {
    3 * key.len() + value.len() + OVERHEAD
}

/// How much a transaction may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) changes: usize,
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { changes: MAX_CHANGES, bytes: MAX_BYTES }
    }
}

impl Limits {
    /// After a batch had too many operations.
    pub(super) fn with_fewer(self, batch: &[Change]) -> Self {
        Self { changes: self.changes.min(batch.len() / 2).max(1), ..self }
    }

    /// After a batch was too large.
    pub(super) fn with_less(self, batch: &[Change]) -> Self {
        let bytes: usize = batch.iter().map(Change::cost).sum();
        Self { bytes: self.bytes.min(bytes / 2), ..self }
    }
}

/// How much a portion holds so far.
#[derive(Debug, Default)]
pub(super) struct Portion {
    changes: usize,
    cost: usize,
}

impl Portion {
    /// Takes a change of this cost. If the portion is full without it a new one begins with it, which is true.
    pub(super) fn add(&mut self, cost: usize, limits: Limits) -> bool {
        let full = self.changes > 0 && (self.changes >= limits.changes || self.cost + cost > limits.bytes);
        if full {
            *self = Self::default();
        }
        self.changes += 1;
        self.cost += cost;
        full
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes == 0
    }
}

/// Collects changes and hands them out in portions.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    pending: Vec<Change>,
    portion: Portion,
}

impl Batcher {
    /// Takes a change; the portion that is full without it comes back.
    pub(super) fn push(&mut self, change: Change, limits: Limits) -> Option<Vec<Change>> {
        let full = self.portion.add(change.cost(), limits);
        let batch = full.then(|| mem::take(&mut self.pending));
        self.pending.push(change);
        batch
    }

    /// What is left; `None` if nothing is.
    pub(super) fn take(&mut self) -> Option<Vec<Change>> {
        self.portion = Portion::default();
        Some(mem::take(&mut self.pending)).filter(|batch| !batch.is_empty())
    }
}

/// The same changes in portions within these limits.
pub(super) fn portions(changes: Vec<Change>, limits: Limits) -> Vec<Vec<Change>> {
    let mut batcher = Batcher::default();
    let mut portions: Vec<_> =
        changes.into_iter().filter_map(|change| batcher.push(change, limits)).collect();
    portions.extend(batcher.take());
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value_len: usize) -> Change {
        let to = Target::Put { value: vec![0; value_len].into(), lease: None };
        Change { key: "k".into(), to, guard: None }
    }

    fn cost(batch: &[Change]) -> usize {
        batch.iter().map(Change::cost).sum()
    }

    fn batches(value_lens: &[usize]) -> Vec<Vec<Change>> {
        portions(value_lens.iter().copied().map(put).collect(), Limits::default())
    }

    #[test]
    fn no_batch_exceeds_the_servers_limits() {
        let sizes: Vec<usize> = (0..1000).map(|number| number * number % 300_000).collect();
        let batches = batches(&sizes);
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), sizes.len());
        for batch in &batches {
            assert!(batch.len() <= MAX_CHANGES && cost(batch) <= MAX_BYTES);
        }
    }

    #[test]
    fn a_record_over_the_limit_goes_alone() {
        let lens: Vec<_> = batches(&[10, 1_500_000, 10]).iter().map(Vec::len).collect();
        assert_eq!(lens, [1, 1, 1]);
    }

    #[test]
    fn nothing_makes_no_batch() {
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn limits_that_were_learned_halve_what_was_refused() {
        let refused: Vec<_> = vec![put(1000); 100];
        let fewer = Limits::default().with_fewer(&refused);
        assert_eq!(portions(refused.clone(), fewer).iter().map(Vec::len).collect::<Vec<_>>(), [50, 50]);
        let less = Limits::default().with_less(&refused);
        assert!(portions(refused.clone(), less).iter().all(|batch| 2 * cost(batch) <= cost(&refused)));
        assert_eq!(fewer.with_fewer(&refused), fewer, "a batch of before says nothing new");
        assert_eq!(Limits::default().with_fewer(&[put(1)]).changes, 1, "never down to nothing");
    }

    fn found(value: &str, mod_revision: i64) -> KeyValue {
        KeyValue {
            key: "k".into(),
            value: value.to_owned().into(),
            create_revision: Revision(1),
            mod_revision: Revision(mod_revision),
            version: 1,
            lease: None,
        }
    }

    #[test]
    fn a_guard_lets_pass_what_was_seen_and_nothing_else() {
        let absent = Change::put(found("new", 9), Some(Revision(0)));
        assert!(absent.may_pass(None) && !absent.may_pass(Some(&found("old", 5))));
        let seen = Change::delete("k".into(), Some(Revision(5)));
        assert!(seen.may_pass(Some(&found("old", 5))) && !seen.may_pass(Some(&found("old", 6))));
        assert!(!seen.may_pass(None) && seen.is_done(None) && !seen.is_done(Some(&found("old", 5))));
        assert!(absent.is_done(Some(&found("new", 7))) && !absent.is_done(Some(&found("other", 7))));
    }
}
