//! Records of any order in, records in the order of their keys out. Beyond what may be in memory, sorted runs go to
//! temporary files, which are merged in the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::vec;

use bytes::Bytes;

use super::run::{Run, RunWriter};
use crate::error::{Error, ErrorKind, Result};
use crate::types::KeyValue;
use crate::util::Escaped;

/// What is sorted at once, in bytes.
const IN_MEMORY: usize = 128 << 20;
/// What a record takes beside its key and value.
const PER_RECORD: usize = 160;
/// Files that are merged at once: enough for the 8 GiB that etcd itself recommends as the most.
const MAX_RUNS: usize = 64;

/// Takes records.
pub(super) struct Sorter {
    buffered: Vec<KeyValue>,
    bytes: usize,
    in_memory: usize,
    runs: Vec<RunWriter>,
    /// The smallest and the largest key.
    ends: Option<(Bytes, Bytes)>,
}

impl Sorter {
    pub(super) fn new() -> Self {
        Self::with_memory(IN_MEMORY)
    }

    fn with_memory(in_memory: usize) -> Self {
        Self { buffered: Vec::new(), bytes: 0, in_memory, runs: Vec::new(), ends: None }
    }

    pub(super) fn push(&mut self, kv: KeyValue) -> Result<()> {
        self.note(&kv.key);
        self.bytes += kv.key.len() + kv.value.len() + PER_RECORD;
        self.buffered.push(kv);
        if self.bytes < self.in_memory { Ok(()) } else { self.flush() }
    }

    fn note(&mut self, key: &Bytes) {
        let (first, last) = self.ends.get_or_insert_with(|| (key.clone(), key.clone()));
        if key < first {
            first.clone_from(key);
        }
        if key > last {
            last.clone_from(key);
        }
    }

    pub(super) fn ends(&self) -> Option<&(Bytes, Bytes)> {
        self.ends.as_ref()
    }

    fn sort(&mut self) -> Result<Vec<KeyValue>> {
        let mut sorted = std::mem::take(&mut self.buffered);
        self.bytes = 0;
        sorted.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        match sorted.windows(2).find_map(|two| match two {
            [one, other] if one.key == other.key => Some(one),
            _ => None,
        }) {
            Some(twice) => Err(stands_twice(&twice.key)),
            None => Ok(sorted),
        }
    }

    /// Goes on with the last run if that is below: text that is sorted makes one, whatever its length.
    fn flush(&mut self) -> Result<()> {
        let sorted = self.sort()?;
        let Some(first) = sorted.first() else { return Ok(()) };
        if !self.runs.last().is_some_and(|run| run.ends_below(&first.key)) {
            self.begin_run()?;
        }
        match self.runs.last_mut() {
            Some(run) => sorted.iter().try_for_each(|kv| run.push(kv)),
            None => Ok(()),
        }
    }

    fn begin_run(&mut self) -> Result<()> {
        if self.runs.len() == MAX_RUNS {
            let what = "the records are more than 8 GiB and not in the order of their keys: sort them first";
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        self.runs.push(RunWriter::create()?);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Sorted> {
        let rest = Part::Memory(self.sort()?.into_iter());
        let runs = self.runs.into_iter().map(|run| run.finish().map(Box::new).map(Part::File));
        let parts = runs.chain([Ok(rest)]).collect::<Result<_>>()?;
        Sorted::new(parts)
    }
}

enum Part {
    Memory(vec::IntoIter<KeyValue>),
    File(Box<Run>),
}

impl Part {
    fn next(&mut self) -> Result<Option<KeyValue>> {
        match self {
            Self::Memory(rest) => Ok(rest.next()),
            Self::File(run) => run.next(),
        }
    }
}

/// The records in order.
pub(super) struct Sorted {
    parts: Vec<Part>,
    /// The next record of every part that has one.
    heads: Vec<Option<KeyValue>>,
    order: BinaryHeap<Reverse<(Bytes, usize)>>,
    last_key: Bytes,
}

impl Sorted {
    fn new(parts: Vec<Part>) -> Result<Self> {
        let heads = parts.iter().map(|_| None).collect();
        let mut sorted = Self { parts, heads, order: BinaryHeap::new(), last_key: Bytes::new() };
        (0..sorted.parts.len()).try_for_each(|part| sorted.refill(part))?;
        Ok(sorted)
    }

    fn refill(&mut self, part: usize) -> Result<()> {
        let next = self.parts.get_mut(part).map(Part::next).transpose()?.flatten();
        self.order.extend(next.iter().map(|kv| Reverse((kv.key.clone(), part))));
        if let Some(head) = self.heads.get_mut(part) {
            *head = next;
        }
        Ok(())
    }

    /// The next record; an error if its key is that of the one before.
    pub(super) fn next(&mut self) -> Result<Option<KeyValue>> {
        let Some(Reverse((key, part))) = self.order.pop() else { return Ok(None) };
        let head = self.heads.get_mut(part).and_then(Option::take);
        if key == self.last_key {
            return Err(stands_twice(&key));
        }
        self.last_key = key;
        self.refill(part)?;
        Ok(head)
    }
}

fn stands_twice(key: &[u8]) -> Error {
    let what = format!("key \"{}\" stands twice in the text; is it two that were joined?", Escaped(key));
    Error::new(ErrorKind::Corrupt, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Revision;

    fn kv(key: u32) -> KeyValue {
        let key = format!("{key:05}").into();
        let one = Revision(1);
        KeyValue { key, value: "v".into(), create_revision: one, mod_revision: one, version: 1, lease: None }
    }

    /// The records out of a sorter that holds a few at a time, and how many runs it made.
    fn sorted(keys: impl IntoIterator<Item = u32>) -> (Result<Vec<KeyValue>>, usize) {
        let mut sorter = Sorter::with_memory(PER_RECORD * 10);
        let mut runs = 0;
        let outcome = (|| {
            keys.into_iter().try_for_each(|key| sorter.push(kv(key)))?;
            runs = sorter.runs.len();
            let mut sorted = sorter.finish()?;
            std::iter::from_fn(|| sorted.next().transpose()).collect()
        })();
        (outcome, runs)
    }

    #[test]
    fn every_order_gives_the_same() {
        let all: Vec<_> = (0..300).map(kv).collect();
        let (ascending, runs) = sorted(0..300);
        assert_eq!((ascending.unwrap(), runs), (all.clone(), 1));
        let (descending, runs) = sorted((0..300).rev());
        assert_eq!(descending.unwrap(), all);
        assert!(runs > 10, "{runs}");
        assert_eq!(sorted((0..300).map(|key| key * 7 % 300)).0.unwrap(), all);
        assert_eq!(sorted([]).0.unwrap(), []);
    }

    #[test]
    fn what_stands_twice_is_refused_however_far_apart() {
        for keys in [vec![5, 5], (0..100).chain([3]).collect(), (0..100).rev().chain([99]).collect()] {
            let error = sorted(keys).0.unwrap_err();
            assert!(error.to_string().contains("stands twice"), "{error}");
        }
    }

    #[test]
    fn more_than_can_be_merged_is_refused() {
        let error = sorted((0..10_000).rev()).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}
