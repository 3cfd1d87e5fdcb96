use std::fs::File;

use super::damaged;
use super::file::BoltFile;
use super::merge::Merge;
use super::row::{Row, revision};
use super::sort::Sorter;
use crate::error::Result;
use crate::types::{KeyRange, Revision};

/// What compactions note of themselves.
const COMPACTIONS: [&[u8]; 2] = [b"finishedCompactRev", b"scheduledCompactRev"];

/// The keys of a range, sorted, and the revision of them all.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) revision: Revision,
    pub(super) merge: Merge,
}

impl Contents {
    /// Reads a snapshot through. Blocking.
    pub(super) fn read(file: File, wanted: &KeyRange) -> Result<Self> {
        let mut file = BoltFile::open(file)?;
        // A deletion that was compacted leaves no row: then the newest revision is the compaction's.
        let mut newest = newest_compaction(&mut file)?;
        let mut sorter = Sorter::new()?;
        let mut rows = file.bucket(b"key")?;
        let mut before = Vec::new();
        while let Some((place, record)) = rows.next()? {
            if place[..] <= before[..] {
                return Err(damaged("rows out of order", rows.page()));
            }
            newest = newest.max(revision(&place).unwrap_or(Revision(1)));
            let row = Row::within(wanted, &place, &record);
            if let Some(row) = row.map_err(|_| damaged("a row of another form", rows.page()))? {
                sorter.push(row)?;
            }
            before.clear();
            before.extend_from_slice(&place);
        }
        Ok(Self { revision: newest, merge: sorter.finish()? })
    }
}

fn newest_compaction(file: &mut BoltFile) -> Result<Revision> {
    let mut newest = Revision(1);
    let mut rows = file.bucket(b"meta")?;
    while let Some((name, value)) = rows.next()? {
        if COMPACTIONS.contains(&&name[..]) {
            newest = newest.max(revision(&value).unwrap_or(Revision(1)));
        }
    }
    Ok(newest)
}
