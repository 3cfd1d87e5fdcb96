use std::mem;

use super::origin::Origin;
use crate::archive::{ContentRoot, Root, content_hash};
use crate::backup::compare::{Blocks, Compared, Comparison, Live, Run};
use crate::backup::in_order::InOrder;
use crate::backup::leasing::Leasing;
use crate::backup::progress::Tracker;
use crate::backup::selection::Segment;
use crate::client::{Client, malformed};
use crate::error::Result;
use crate::types::{KeyValue, Revision};

/// What the cluster holds after a restore of the keys that the archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreCheck {
    /// The one revision at which this was read.
    pub revision: Revision,
    /// How many keys have the archive's value and lease.
    pub same: u64,
    /// How many have others: left so by the restore, or written since.
    pub different: u64,
    /// How many are not there.
    pub missing: u64,
    /// Stands for these keys and values as the cluster holds them: equal to the archive's content root if all of
    /// the archive was restored, under its own names, and [`RestoreCheck::equal`] is true.
    pub content_root: Root,
    /// Whether the cluster holds each of these keys, with the value that was to be restored. Leases don't count.
    pub equal: bool,
}

/// Compares once more.
pub(super) async fn check(
    client: &Client,
    origin: &Origin<'_>,
    segments: &[Segment],
    leasing: Leasing,
    progress: &mut Tracker,
) -> Result<RestoreCheck> {
    let target = Live::open(client, segments, None, origin.is_leased()).await?;
    let pinned = target.pinned().ok_or_else(|| malformed("a scan ended without a page"))?;
    let source = origin.open(segments, leasing).await?;
    let mut comparison = Comparison::new(source, target, true);
    let mut rooter = Rooter::new();
    let mut found = Found { same: 0, different: 0, missing: 0, equal: true };
    while let Some(compared) = comparison.next().await? {
        progress.add(compared.keys(), compared.bytes());
        found.count(&compared, &comparison);
        rooter.add(compared).await?;
    }
    Ok(RestoreCheck {
        revision: pinned.revision,
        same: found.same,
        different: found.different,
        missing: found.missing,
        content_root: rooter.finish().await?,
        equal: found.equal,
    })
}

/// How many blocks are hashed at once.
const HASHING: usize = 2;

struct Found {
    same: u64,
    different: u64,
    missing: u64,
    equal: bool,
}

impl Found {
    fn count(&mut self, compared: &Compared, comparison: &Comparison<'_>) {
        match compared {
            Compared::Same(run) => self.same += run.records,
            Compared::Key { left: Some(source), right: Some(found) } => {
                let same = comparison.is_same(source, found);
                self.equal &= source.value == found.value;
                *(if same { &mut self.same } else { &mut self.different }) += 1;
            }
            Compared::Key { left: Some(_), right: None } => {
                self.missing += 1;
                self.equal = false;
            }
            Compared::Key { left: None, .. } => {}
        }
    }
}

/// Makes the content root of what the cluster holds of the source's keys.
#[derive(Debug)]
struct Rooter {
    blocks: Blocks,
    /// Blocks that are hashed while others are read.
    hashing: InOrder<[u8; 32]>,
    root: ContentRoot,
}

impl Rooter {
    fn new() -> Self {
        Self { blocks: Blocks::default(), hashing: InOrder::of(HASHING), root: ContentRoot::new() }
    }

    async fn add(&mut self, compared: Compared) -> Result<()> {
        match compared {
            Compared::Same(run) => self.run(run).await,
            Compared::Key { left: Some(_), right: Some(found) } => self.record(found).await,
            Compared::Key { .. } => Ok(()),
        }
    }

    /// A whole block that begins where one would begin here is what would be cut here.
    async fn run(&mut self, run: Run) -> Result<()> {
        match run.content_hash().filter(|_| self.blocks.is_between()) {
            Some(hash) => self.hash(move || hash).await,
            None => {
                for kv in run.into_records() {
                    self.record(kv).await?;
                }
                Ok(())
            }
        }
    }

    async fn record(&mut self, kv: KeyValue) -> Result<()> {
        match self.blocks.push(kv)? {
            Some(block) => self.hash(move || content_hash(&block)).await,
            None => Ok(()),
        }
    }

    async fn hash(&mut self, hash: impl FnOnce() -> [u8; 32] + Send + 'static) -> Result<()> {
        let oldest = self.hashing.push(hash).await?;
        oldest.iter().for_each(|hash| self.root.add(hash));
        Ok(())
    }

    async fn finish(mut self) -> Result<Root> {
        let last = mem::take(&mut self.blocks).finish();
        if !last.is_empty() {
            self.hashing.begin(move || content_hash(&last));
        }
        while let Some(hash) = self.hashing.next().await? {
            self.root.add(&hash);
        }
        Ok(self.root.root())
    }
}
