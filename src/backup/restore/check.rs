use std::collections::VecDeque;

use tokio::io::Sink;

use crate::archive::{Compression, Header, Root};
use crate::backup::compare::{Compared, Comparison, Live, Side};
use crate::backup::output::Output;
use crate::backup::pipeline::Pipeline;
use crate::backup::progress::Tracker;
use crate::backup::selection::Segment;
use crate::client::{Client, malformed};
use crate::error::Result;
use crate::stream::ScanPage;
use crate::types::{self, KeyValue, Revision};

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
    source: Side<'_>,
    segments: &[Segment],
    progress: &mut Tracker,
) -> Result<RestoreCheck> {
    let target = Live::open(client, segments, None).await?;
    let pinned = target.pinned().ok_or_else(|| malformed("a scan ended without a page"))?;
    let mut comparison = Comparison::new(source, target, true);
    let mut nowhere = tokio::io::sink();
    let mut rooter = Rooter::begin(client, pinned, &mut nowhere).await?;
    let mut found = Found { same: 0, different: 0, missing: 0, equal: true };
    while let Some(compared) = comparison.next().await? {
        progress.add(compared.keys(), compared.bytes());
        found.count(&compared, &comparison);
        rooter.add(held(compared)).await?;
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

/// How many keys are hashed at once.
const PORTION: usize = 256;

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

/// What the cluster holds of the source's keys.
fn held(compared: Compared) -> VecDeque<KeyValue> {
    match compared {
        Compared::Same(run) => run.into_records(),
        Compared::Key { left: Some(_), right } => right.into_iter().collect(),
        Compared::Key { left: None, .. } => VecDeque::new(),
    }
}

/// Makes the content root of keys that come in order.
struct Rooter<'c> {
    client: &'c Client,
    pinned: types::Header,
    pipeline: Pipeline<'c, Sink>,
    /// Not hashed yet.
    gathered: Vec<KeyValue>,
}

impl<'c> Rooter<'c> {
    async fn begin(client: &'c Client, pinned: types::Header, nowhere: &'c mut Sink) -> Result<Self> {
        let output = Output::new(nowhere);
        let pipeline = Pipeline::begin(&Header::default(), Compression::None, output).await?;
        Ok(Self { client, pinned, pipeline, gathered: Vec::new() })
    }

    async fn add(&mut self, kvs: VecDeque<KeyValue>) -> Result<()> {
        self.gathered.extend(kvs.into_iter().map(unleased));
        if self.gathered.len() < PORTION { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<()> {
        let kvs = std::mem::take(&mut self.gathered);
        self.pipeline.take(ScanPage { header: self.pinned, total: 0, kvs }).await.map(drop)
    }

    async fn finish(mut self) -> Result<Root> {
        self.flush().await?;
        self.pipeline.leases(self.client).await?;
        Ok(self.pipeline.finish().await?.content_root)
    }
}

/// Leases are no part of the content; without them none has to be looked up.
fn unleased(kv: KeyValue) -> KeyValue {
    KeyValue { lease: None, ..kv }
}
