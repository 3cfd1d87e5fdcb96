//! Records in portions that a server takes as one transaction. Pure.

use crate::types::KeyValue;

/// etcd's `--max-txn-ops`, as it is by default.
const MAX_RECORDS: usize = 128;
/// Well below etcd's `--max-request-bytes`, 1.5 MiB by default: large transactions hold up others.
const MAX_BYTES: usize = 1 << 20;
/// What a record costs in a transaction besides its own bytes: tags, lengths, the lease.
const OVERHEAD: usize = 96;

/// Collects records and hands them out in portions.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    pending: Vec<KeyValue>,
    cost: usize,
}

impl Batcher {
    /// Takes a record; the portion that is full without it comes back.
    pub(super) fn push(&mut self, kv: KeyValue) -> Option<Vec<KeyValue>> {
        let cost = cost(&kv);
        let full = self.pending.len() == MAX_RECORDS || self.cost + cost > MAX_BYTES;
        let batch = if full { self.take() } else { None };
        self.cost += cost;
        self.pending.push(kv);
        batch
    }

    /// What is left; `None` if nothing is.
    pub(super) fn take(&mut self) -> Option<Vec<KeyValue>> {
        self.cost = 0;
        Some(std::mem::take(&mut self.pending)).filter(|batch| !batch.is_empty())
    }
}

/// The key goes thrice: compared, put, and read where the comparison fails.
fn cost(kv: &KeyValue) -> usize {
    3 * kv.key.len() + kv.value.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Revision;

    fn batches(value_lens: &[usize]) -> Vec<Vec<KeyValue>> {
        let mut batcher = Batcher::default();
        let kv = |len: &usize| KeyValue {
            key: "k".into(),
            value: vec![0; *len].into(),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        };
        let mut batches: Vec<_> = value_lens.iter().map(kv).filter_map(|kv| batcher.push(kv)).collect();
        batches.extend(batcher.take());
        batches
    }

    #[test]
    fn no_batch_exceeds_the_servers_limits() {
        let sizes: Vec<usize> = (0..1000).map(|number| number * number % 300_000).collect();
        let batches = batches(&sizes);
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), sizes.len());
        for batch in &batches {
            assert!(batch.len() <= MAX_RECORDS && batch.iter().map(cost).sum::<usize>() <= MAX_BYTES);
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
}
