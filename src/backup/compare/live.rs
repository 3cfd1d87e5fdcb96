use std::collections::VecDeque;
use std::mem;

use tokio::task::{JoinHandle, spawn_blocking};

use super::run::Run;
use crate::archive::{Compression, Cutter, RawBlock};
use crate::backup::selection::Segment;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::stream::{Scan, ScanStream};
use crate::types::{Header, KeyValue, Revision};

/// Blocks that are hashed while others are read.
const HASHING: usize = 4;

/// The selected records of a cluster at one revision, cut into the blocks that an archive of them would have.
#[derive(Debug)]
pub(in crate::backup) struct Live {
    client: Client,
    segments: VecDeque<Segment>,
    current: Option<Reading>,
    pinned: Option<Header>,
    hashing: VecDeque<JoinHandle<Run>>,
}

/// One segment that is being read.
#[derive(Debug)]
struct Reading {
    segment: Segment,
    scan: ScanStream,
    cutter: Cutter,
    gathered: Vec<KeyValue>,
}

impl Live {
    /// Reads the first page, which fixes the revision unless it is given.
    pub(in crate::backup) async fn open(
        client: &Client,
        segments: &[Segment],
        at: Option<Revision>,
    ) -> Result<Self> {
        let segments = segments.iter().cloned().collect();
        let (client, hashing) = (client.clone(), VecDeque::new());
        let mut live = Self { client, segments, current: None, pinned: None, hashing };
        live.next_segment(at);
        live.read_page().await?;
        Ok(live)
    }

    /// Who is read, and at which revision; `None` if there is nothing to read.
    pub(in crate::backup) fn pinned(&self) -> Option<Header> {
        self.pinned
    }

    pub(in crate::backup) async fn next_run(&mut self) -> Result<Option<Run>> {
        while self.hashing.len() < HASHING && self.read_page().await? {}
        let Some(oldest) = self.hashing.pop_front() else { return Ok(None) };
        let run = oldest.await;
        run.map(Some)
            .map_err(|error| Error::new(ErrorKind::Io, "hashing a block was cut off").with_source(error))
    }

    fn next_segment(&mut self, at: Option<Revision>) {
        self.current = self.segments.pop_front().map(|segment| {
            let scan = Scan::new(segment.target.clone());
            let scan = self.client.scan(at.into_iter().fold(scan, Scan::at));
            Reading { segment, scan, cutter: Cutter::new(), gathered: Vec::new() }
        });
    }

    /// Reads one page, or goes on to the next segment; `false` after the last.
    async fn read_page(&mut self) -> Result<bool> {
        let Some(reading) = &mut self.current else { return Ok(false) };
        let page = reading.scan.next_page().await?;
        self.pinned = self.pinned.or(reading.scan.pinned());
        match page {
            Some(page) => self.hashing.extend(reading.take(page.kvs)?),
            None => {
                self.hashing.extend(reading.rest());
                self.next_segment(self.pinned.map(|header| header.revision));
            }
        }
        Ok(true)
    }
}

impl Reading {
    /// The blocks that the records complete.
    fn take(&mut self, kvs: Vec<KeyValue>) -> Result<Vec<JoinHandle<Run>>> {
        if !self.segment.is_plain() {
            let wanted = kvs.into_iter().filter(|kv| self.segment.selects_target(&kv.key)).collect();
            return Ok(vec![spawn_blocking(|| Run::open(wanted))]);
        }
        let mut completed = Vec::new();
        for kv in kvs {
            let block = self.cutter.push(&kv)?;
            self.gathered.push(kv);
            completed.extend(block.map(|block| hashed(mem::take(&mut self.gathered), block)));
        }
        Ok(completed)
    }

    fn rest(&mut self) -> Option<JoinHandle<Run>> {
        let block = mem::take(&mut self.cutter).finish()?;
        Some(hashed(mem::take(&mut self.gathered), block))
    }
}

fn hashed(kvs: Vec<KeyValue>, block: RawBlock) -> JoinHandle<Run> {
    spawn_blocking(move || Run::block(kvs, &block.seal(Compression::None).entry(0)))
}
