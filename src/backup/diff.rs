use bytes::Bytes;

use super::compare::{Archived, Compared, Comparison, Live, Side};
use super::open::ArchiveFile;
use super::selection::{Segment, Selection};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyRange, KeyValue};

/// What can be compared: an archive, or a live cluster at its newest revision.
#[derive(Debug)]
#[non_exhaustive]
pub enum DiffSide<'a> {
    /// An archive. Blocks that are looked into are checked; the whole archive is not verified.
    Archive(&'a mut ArchiveFile),
    /// A cluster, read at one revision.
    Cluster(&'a Client),
}

impl<'a> From<&'a mut ArchiveFile> for DiffSide<'a> {
    fn from(archive: &'a mut ArchiveFile) -> Self {
        Self::Archive(archive)
    }
}

impl<'a> From<&'a Client> for DiffSide<'a> {
    fn from(client: &'a Client) -> Self {
        Self::Cluster(client)
    }
}

impl<'a> DiffSide<'a> {
    /// Which keys it can tell about.
    fn range(&self) -> KeyRange {
        match self {
            Self::Archive(archive) => archive.header().range.clone(),
            Self::Cluster(_) => KeyRange::all(),
        }
    }

    async fn open(self, segments: &[Segment]) -> Result<Side<'a>> {
        match self {
            Self::Archive(archive) => Ok(Archived::new(archive.all_records(), segments, true).into()),
            Self::Cluster(client) => Ok(Live::open(client, segments, None, false).await?.into()),
        }
    }
}

/// A key that one side does not hold, or holds with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key.
    pub key: Bytes,
    /// What the left side holds; `None` if nothing.
    pub left: Option<KeyValue>,
    /// What the right side holds; `None` if nothing.
    pub right: Option<KeyValue>,
}

/// Which keys and values differ between two archives, two clusters, or an archive and a cluster.
///
/// Both are walked through in the blocks that their content cuts them into; of archives, only blocks that differ are
/// read. Revisions, versions and leases don't count. Memory is bounded.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::backup::{ArchiveFile, Diff, Selection};
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// let mut diff = Diff::new(&mut archive, &client, Selection::new()).await?;
/// while let Some(difference) = diff.next().await? {
///     println!("{:?}", difference.key);
/// }
/// println!("{} keys are the same", diff.same());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Diff<'a> {
    comparison: Comparison<'a>,
    same: u64,
}

impl<'a> Diff<'a> {
    /// Begins a comparison of the selected keys, as far as both sides can tell about them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if no selected key can be in both sides; otherwise as [`Client::scan`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn new(
        left: impl Into<DiffSide<'a>>,
        right: impl Into<DiffSide<'a>>,
        selection: Selection,
    ) -> Result<Self> {
        let (left, right) = (left.into(), right.into());
        let ranges = [left.range(), right.range()];
        let segments = selection.segments(&ranges)?;
        if segments.is_empty() {
            let what =
                format!("no selected key can be in both: one holds {}, the other {}", ranges[0], ranges[1]);
            return Err(Error::new(ErrorKind::Config, what));
        }
        let (left, right) = (left.open(&segments).await?, right.open(&segments).await?);
        Ok(Self { comparison: Comparison::new(left, right, false), same: 0 })
    }

    /// The next difference in the order of keys; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if an archive is damaged where it is read; otherwise as [`Client::scan`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing, but must not be called again if dropped: keys may be lost.
    pub async fn next(&mut self) -> Result<Option<Difference>> {
        while let Some(compared) = self.comparison.next().await? {
            match compared {
                Compared::Same(run) => self.same += run.records,
                Compared::Key { left: Some(left), right: Some(right) }
                    if self.comparison.is_same(&left, &right) =>
                {
                    self.same += 1;
                }
                Compared::Key { left, right } => {
                    let key = left.as_ref().or(right.as_ref()).map(|kv| kv.key.clone()).unwrap_or_default();
                    return Ok(Some(Difference { key, left, right }));
                }
            }
        }
        Ok(None)
    }

    /// How many keys were the same so far.
    #[must_use]
    pub fn same(&self) -> u64 {
        self.same
    }
}
