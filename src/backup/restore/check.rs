use crate::archive::{Compression, Header, Root};
use crate::backup::compare::{Archived, Compared, Comparison, Live};
use crate::backup::output::Output;
use crate::backup::pipeline::Pipeline;
use crate::backup::progress::Tracker;
use crate::backup::records::Records;
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
    /// the archive was restored, under its own names, and nothing is different or missing.
    pub content_root: Root,
}

/// Compares once more.
pub(super) async fn check(
    client: &Client,
    records: &Records,
    segments: &[Segment],
    progress: &mut Tracker,
) -> Result<RestoreCheck> {
    let target = Live::open(client, segments, None).await?;
    let pinned = target.pinned().ok_or_else(|| malformed("a scan ended without a page"))?;
    let source = Archived::new(records, segments, true);
    let mut comparison = Comparison::new(source, target, true);
    let mut nowhere = tokio::io::sink();
    let mut rooter =
        Pipeline::begin(&Header::default(), Compression::None, Output::new(&mut nowhere)).await?;
    let mut found = Found { pinned, same: 0, different: 0, missing: 0, gathered: Vec::new() };
    while let Some(compared) = comparison.next().await? {
        progress.add(compared.keys(), compared.bytes());
        found.count(compared, &comparison);
        if let Some(page) = found.page(PORTION) {
            rooter.take(page).await?;
        }
    }
    if let Some(page) = found.page(1) {
        rooter.take(page).await?;
    }
    rooter.leases(client).await?;
    let summary = rooter.finish().await?;
    let Found { same, different, missing, .. } = found;
    Ok(RestoreCheck {
        revision: pinned.revision,
        same,
        different,
        missing,
        content_root: summary.content_root,
    })
}

/// How many keys are hashed at once.
const PORTION: usize = 256;

struct Found {
    pinned: types::Header,
    same: u64,
    different: u64,
    missing: u64,
    /// What the cluster holds of the archive's keys, not hashed yet.
    gathered: Vec<KeyValue>,
}

impl Found {
    fn count(&mut self, compared: Compared, comparison: &Comparison<'_>) {
        match compared {
            Compared::Same(run) => {
                self.same += run.records;
                self.gathered.extend(run.into_records().into_iter().map(unleased));
            }
            Compared::Key { left: Some(archived), right } => {
                match &right {
                    Some(found) if comparison.is_same(&archived, found) => self.same += 1,
                    Some(_) => self.different += 1,
                    None => self.missing += 1,
                }
                self.gathered.extend(right.map(unleased));
            }
            Compared::Key { left: None, .. } => {}
        }
    }

    /// What was gathered, if it is at least so much.
    fn page(&mut self, least: usize) -> Option<ScanPage> {
        (self.gathered.len() >= least).then(|| ScanPage {
            header: self.pinned,
            total: 0,
            kvs: std::mem::take(&mut self.gathered),
        })
    }
}

/// Leases are no part of the content; without them none has to be looked up.
fn unleased(kv: KeyValue) -> KeyValue {
    KeyValue { lease: None, ..kv }
}
