use std::collections::{BTreeSet, VecDeque};
use std::mem;

use super::blocks::Blocks;
use super::run::{Hashes, Run};
use crate::archive::{ContentRoot, Root};
use crate::backup::in_order::InOrder;
use crate::backup::leasing::Leasing;
use crate::backup::selection::Segment;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::stream::{Scan, ScanStream};
use crate::types::{Header, KeyRange, KeyValue, LeaseId, Revision};

/// Blocks that are hashed while others are read.
const HASHING: usize = 4;

/// The selected records of a cluster at one revision, cut into the blocks that an archive of them would have.
#[derive(Debug)]
pub(in crate::backup) struct Live {
    client: Client,
    segments: VecDeque<Segment>,
    part: Part,
    current: Option<Reading>,
    pinned: Option<Header>,
    leases: BTreeSet<LeaseId>,
    hashing: InOrder<Run>,
    content: ContentRoot,
}

/// What the cluster is in a comparison.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// `states` is whether hashes of full records may decide.
    Target { states: bool },
    /// Its records come as they are to be in the target.
    Source(Leasing),
}

/// One segment that is being read.
#[derive(Debug)]
struct Reading {
    segment: Segment,
    part: Part,
    scan: ScanStream,
    blocks: Blocks,
}

impl Live {
    /// Of a cluster that is or may be restored to. Reads the first page, which fixes the revision unless it is given.
    /// `states` is whether more than keys and values may count.
    pub(in crate::backup) async fn open(
        client: &Client,
        segments: &[Segment],
        at: Option<Revision>,
        states: bool,
    ) -> Result<Self> {
        Self::begin(client, segments, Part::Target { states }, at).await
    }

    /// As [`Live::open`], of a cluster that is restored from, at this revision.
    pub(in crate::backup) async fn source(
        client: &Client,
        segments: &[Segment],
        leasing: Leasing,
        at: Revision,
    ) -> Result<Self> {
        Self::begin(client, segments, Part::Source(leasing), Some(at)).await
    }

    async fn begin(client: &Client, segments: &[Segment], part: Part, at: Option<Revision>) -> Result<Self> {
        let (segments, client) = (segments.iter().cloned().collect(), client.clone());
        let (leases, hashing) = (BTreeSet::new(), InOrder::of(HASHING));
        let content = ContentRoot::new();
        let mut live = Self { client, segments, part, current: None, pinned: None, leases, hashing, content };
        live.next_segment(at);
        live.read_page().await?;
        Ok(live)
    }

    /// Who is read, and at which revision; `None` if there is nothing to read.
    pub(in crate::backup) fn pinned(&self) -> Option<Header> {
        self.pinned
    }

    /// The leases of the records so far, as they are in this cluster.
    pub(in crate::backup) fn leases(&self) -> &BTreeSet<LeaseId> {
        &self.leases
    }

    pub(in crate::backup) async fn next_run(&mut self) -> Result<Option<Run>> {
        while !self.hashing.is_full() && self.read_page().await? {}
        let run = self.hashing.next().await?;
        run.iter().filter_map(Run::content_hash).for_each(|hash| self.content.add(&hash));
        Ok(run)
    }

    /// The content root of what came so far: that of an archive of it, if every key of one range is selected, under its
    /// own name.
    pub(in crate::backup) fn content_root(&self) -> Root {
        self.content.root()
    }

    fn next_segment(&mut self, at: Option<Revision>) {
        self.current = self.segments.pop_front().map(|segment| {
            let scan = Scan::new(self.part.range(&segment).clone());
            let scan = self.client.scan(at.into_iter().fold(scan, Scan::at));
            Reading { segment, part: self.part, scan, blocks: Blocks::default() }
        });
    }

    /// Reads one page, or goes on to the next segment; `false` after the last.
    async fn read_page(&mut self) -> Result<bool> {
        let Some(reading) = &mut self.current else { return Ok(false) };
        let page = reading.scan.next_page().await.map_err(|error| self.part.explain(error))?;
        self.pinned = self.pinned.or(reading.scan.pinned());
        match page {
            Some(page) => {
                self.leases.extend(page.kvs.iter().filter_map(|kv| kv.lease));
                reading.take(page.kvs, &mut self.hashing)?;
            }
            None => {
                reading.finish(self.segments.is_empty(), &mut self.hashing);
                self.next_segment(self.pinned.map(|header| header.revision));
            }
        }
        Ok(true)
    }
}

impl Part {
    fn range(self, segment: &Segment) -> &KeyRange {
        match self {
            Self::Target { .. } => &segment.target,
            Self::Source(_) => &segment.source,
        }
    }

    /// The record under its name in the target; `None` if it is not selected.
    fn wanted(self, segment: &Segment, kv: KeyValue) -> Option<KeyValue> {
        match self {
            Self::Target { .. } => Some(kv).filter(|kv| segment.selects_target(&kv.key)),
            Self::Source(leasing) => segment.restored(kv).map(|kv| leasing.restored(kv)),
        }
    }

    /// With two clusters in play, which one it is about.
    fn explain(self, error: Error) -> Error {
        match self {
            Self::Target { .. } => error,
            Self::Source(_) => error.context("reading the source"),
        }
    }

    /// Whether a block is to have a hash of full records.
    fn needs_state(self, kvs: &[KeyValue]) -> bool {
        matches!(self, Self::Target { states: true }) || kvs.iter().any(|kv| kv.lease.is_some())
    }

    fn leasing(self) -> Leasing {
        match self {
            Self::Target { .. } => Leasing::default(),
            Self::Source(leasing) => leasing,
        }
    }
}

impl Reading {
    /// Has the blocks hashed that the records complete.
    fn take(&mut self, kvs: Vec<KeyValue>, hashing: &mut InOrder<Run>) -> Result<()> {
        if !self.segment.is_plain() {
            let wanted = kvs.into_iter().filter_map(|kv| self.part.wanted(&self.segment, kv)).collect();
            hashing.begin(|| Run::open(wanted));
            return Ok(());
        }
        for kv in kvs {
            let block = self.blocks.push(kv)?;
            block.into_iter().for_each(|block| self.hash(block, hashing));
        }
        Ok(())
    }

    /// What is left ends where the segment does. Where another one follows that is no end of a block.
    fn finish(&mut self, is_last: bool, hashing: &mut InOrder<Run>) {
        let (rest, leasing) = (mem::take(&mut self.blocks).finish(), self.part.leasing());
        if is_last && !rest.is_empty() {
            self.hash(rest, hashing);
        } else {
            hashing.begin(move || Run::open(rest.into_iter().map(|kv| leasing.restored(kv)).collect()));
        }
    }

    fn hash(&self, block: Vec<KeyValue>, hashing: &mut InOrder<Run>) {
        let part = self.part;
        hashing.begin(move || {
            let hashes = Hashes::of(&block, part.needs_state(&block));
            Run::releasing(block, hashes, &part.leasing())
        });
    }
}
