use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::ops::Range;

use bytes::Bytes;

use super::row::Row;
use super::sort::HEAD_LEN;
use super::{cannot_spool, read_at, slice, u32_at};
use crate::error::Result;
use crate::types::KeyValue;

/// What all runs together hold in memory, as long as there are not thousands of them.
const MEMORY_BYTES: usize = 16 << 20;
const PORTION_BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=1 << 20;

/// Merges sorted runs, the newest row of each key first.
#[derive(Debug)]
pub(super) struct Merge {
    file: File,
    runs: Vec<Run>,
    /// The first row of each run.
    heads: BinaryHeap<Reverse<Head>>,
    /// How much of a run is read at once.
    portion: usize,
    last_key: Bytes,
}

impl Merge {
    /// Runs later in the list are newer.
    pub(super) fn new(file: File, runs: Vec<Range<u64>>) -> Result<Self> {
        let portion = (MEMORY_BYTES / runs.len().max(1)).clamp(*PORTION_BYTES.start(), *PORTION_BYTES.end());
        let runs: Vec<_> = runs.into_iter().map(|span| Run { span, buffer: Bytes::new() }).collect();
        let (heads, last_key) = (BinaryHeap::new(), Bytes::new());
        let mut merge = Self { file, runs, heads, portion, last_key };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    /// The next keys that are not deleted, ascending, of about so many bytes; none after the last.
    pub(super) fn next_page(&mut self, bytes: usize) -> Result<Vec<KeyValue>> {
        let (mut kvs, mut held) = (Vec::new(), 0);
        while held < bytes {
            let Some(row) = self.next()? else { break };
            if let Some(kv) = row.into_key_value() {
                held += kv.key.len() + kv.value.len();
                kvs.push(kv);
            }
        }
        Ok(kvs)
    }

    /// The newest row of the next key.
    fn next(&mut self) -> Result<Option<Row>> {
        while let Some(Reverse(Head { row, run })) = self.heads.pop() {
            self.advance(run)?;
            // Keys are never empty.
            if row.key != self.last_key {
                self.last_key = row.key.clone();
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn advance(&mut self, run: usize) -> Result<()> {
        let Some(source) = self.runs.get_mut(run) else { return Ok(()) };
        if let Some(row) = source.next(&mut self.file, self.portion)? {
            self.heads.push(Reverse(Head { row, run }));
        }
        Ok(())
    }
}

/// The rest of a run: where it is, and what is in memory of it.
#[derive(Debug)]
struct Run {
    span: Range<u64>,
    buffer: Bytes,
}

impl Run {
    fn next(&mut self, file: &mut File, portion: usize) -> Result<Option<Row>> {
        if self.span.is_empty() {
            return Ok(None);
        }
        if self.buffer.len() < self.needed() {
            // The head tells how long the row is.
            self.fill(file, portion)?;
            self.fill(file, portion.max(self.needed()))?;
        }
        let row = self.take().ok_or_else(|| cannot_spool(std::io::ErrorKind::UnexpectedEof.into()))?;
        Ok(Some(row))
    }

    fn needed(&self) -> usize {
        u32_at(&self.buffer, 1).map_or(HEAD_LEN, |len| HEAD_LEN + len as usize)
    }

    fn fill(&mut self, file: &mut File, bytes: usize) -> Result<()> {
        let left = self.span.end - self.span.start;
        if self.buffer.len() < bytes && (self.buffer.len() as u64) < left {
            self.buffer = read_at(file, self.span.start, left.min(bytes as u64))?;
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Row> {
        let len = self.needed();
        let row = Row::new(slice(&self.buffer, HEAD_LEN, len - HEAD_LEN)?, *self.buffer.first()? != 0)?;
        self.buffer = self.buffer.slice(len..);
        self.span.start += len as u64;
        Some(row)
    }
}

#[derive(Debug)]
struct Head {
    row: Row,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of one key the newest run's comes first.
        self.row.order(&other.row).then(other.run.cmp(&self.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
