use std::fs::File;
use std::io::{BufWriter, Write};
use std::mem;
use std::ops::Range;

use super::cannot_spool;
use super::merge::Merge;
use super::row::Row;
use crate::error::Result;

/// How many bytes of rows are sorted at once.
const RUN_BYTES: usize = 32 << 20;
/// What a row takes beside its record, roughly.
const ROW_BYTES: usize = 160;
const WRITE_BYTES: usize = 1 << 20;

/// Sorts rows by key: those that fit into memory at once, which makes a run; runs go to a temporary file.
#[derive(Debug)]
pub(super) struct Sorter {
    rows: Vec<Row>,
    bytes: usize,
    file: BufWriter<File>,
    /// Where each run is in the file.
    runs: Vec<Range<u64>>,
}

impl Sorter {
    pub(super) fn new() -> Result<Self> {
        let file = BufWriter::with_capacity(WRITE_BYTES, tempfile::tempfile().map_err(cannot_spool)?);
        Ok(Self { rows: Vec::new(), bytes: 0, file, runs: Vec::new() })
    }

    /// Takes the next row, of a newer revision than those before.
    pub(super) fn push(&mut self, row: Row) -> Result<()> {
        self.bytes += row.record.len() + ROW_BYTES;
        self.rows.push(row);
        if self.bytes < RUN_BYTES { Ok(()) } else { self.write_run() }
    }

    pub(super) fn finish(mut self) -> Result<Merge> {
        self.write_run()?;
        let file = self.file.into_inner().map_err(|error| cannot_spool(error.into_error()))?;
        Merge::new(file, self.runs)
    }

    fn write_run(&mut self) -> Result<()> {
        self.bytes = 0;
        let begin = self.runs.last().map_or(0, |run| run.end);
        let mut end = begin;
        for row in newest_of_each(mem::take(&mut self.rows)) {
            end += write(&mut self.file, &row).map_err(cannot_spool)?;
        }
        self.runs.push(begin..end);
        Ok(())
    }
}

/// By key, without what was overwritten or deleted later in the run. A deletion stays: it counts for earlier runs.
fn newest_of_each(mut rows: Vec<Row>) -> Vec<Row> {
    rows.reverse();
    // Stable: of rows of one key the newest stays the first.
    rows.sort_by(Row::order);
    rows.dedup_by(|later, first| later.key == first.key);
    rows
}

/// What stands before a row's record in a run.
pub(super) const HEAD_LEN: usize = 5;

fn write(file: &mut impl Write, row: &Row) -> std::io::Result<u64> {
    let len = u32::try_from(row.record.len()).map_err(std::io::Error::other)?;
    file.write_all(&[u8::from(row.is_deletion)])?;
    file.write_all(&len.to_le_bytes())?;
    file.write_all(&row.record)?;
    Ok(HEAD_LEN as u64 + u64::from(len))
}
