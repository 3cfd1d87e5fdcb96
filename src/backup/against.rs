//! An archive against the cluster that it was read from, at the archive's own revision.

use bytes::Bytes;

use super::compare::{Archived, Compared, Comparison, Live};
use super::open::ArchiveFile;
use super::selection::Selection;
use crate::archive::{self, Root};
use crate::client::{Client, Get, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyRange, MemberId};

/// A cluster that holds something else everywhere must not fill the memory.
const MAX_STRETCHES: usize = 1000;
const NO_PAGE: &str = "a scan ended without a page";

/// What a second read of the cluster at an archive's revision has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgainstCluster {
    /// Which member answered first; the one that was backed up is in the archive's header.
    pub member_id: MemberId,
    /// How many keys are the same in all respects: value, revisions, version and lease.
    pub same: u64,
    /// Stands for the keys and values as the cluster holds them.
    pub content_root: Root,
    /// Where they differ, ascending; the last of a thousand covers all that follow.
    pub unequal: Vec<UnequalKeys>,
}

/// Keys in which an archive and a cluster differ, between blocks in which they don't.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnequalKeys {
    /// From the first to the last of them.
    pub range: KeyRange,
    /// How many are in both, but not the same.
    pub changed: u64,
    /// How many only the archive holds.
    pub missing: u64,
    /// How many only the cluster holds.
    pub extra: u64,
}

impl ArchiveFile {
    /// Reads the archive's range from the cluster once more, at the archive's revision, and compares everything. Of the
    /// archive only blocks that differ are read: [`ArchiveFile::verify`] checks the others.
    ///
    /// Both were read from one history, so any difference means that a member or the archive is wrong. A client of one
    /// endpoint reads from that member alone: from another one than was backed up, this tells whether they agree.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Compacted`] if the cluster no longer has the revision, which is then not known to be good or bad;
    /// [`ErrorKind::Config`] if the archive is of another cluster, or no backup of one; otherwise as [`Client::scan`]
    /// and [`ArchiveFile::get`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn verify_against(&mut self, client: &Client) -> Result<AgainstCluster> {
        let header = self.header().clone();
        let segments = Selection::new().segments(std::slice::from_ref(&header.range))?;
        check_cluster(&header, client).await?;
        let archived = Archived::new(self.all_records(), &segments, true);
        let live = Live::open(client, &segments, Some(header.revision), true);
        let live = live.await.map_err(|error| explained(error, &header))?;
        let pinned = live.pinned().ok_or_else(|| malformed(NO_PAGE))?;
        let mut comparison = Comparison::exact(archived, live);
        let (mut same, mut stretches) = (0, Stretches::default());
        while let Some(compared) = comparison.next().await.map_err(|error| explained(error, &header))? {
            same += stretches.note(&compared, &comparison);
        }
        let content_root = comparison.right_content_root();
        let content_root = content_root.ok_or_else(|| malformed(NO_PAGE))?;
        Ok(AgainstCluster { member_id: pinned.member_id, same, content_root, unequal: stretches.finish() })
    }
}

/// Asked first: at the archive's revision another cluster would only tell that it does not have it.
async fn check_cluster(archive: &archive::Header, client: &Client) -> Result<()> {
    if archive.range.is_empty() {
        let what =
            "the archive is of no range of keys, since it is none of a backup: no cluster can confirm it";
        return Err(Error::new(ErrorKind::Config, what));
    }
    let some_key = KeyRange::key(archive.range.start().clone());
    let found = client.send(Get::new(some_key).count_only().serializable()).await?.header.cluster_id;
    if archive.cluster_id == found {
        return Ok(());
    }
    let what = format!(
        "the archive is of cluster {}, but cluster {found} answered, whose revisions are others; a diff compares the \
         keys and values of any two",
        archive.cluster_id
    );
    Err(Error::new(ErrorKind::Config, what))
}

fn explained(error: Error, archive: &archive::Header) -> Error {
    let revision = archive.revision;
    match error.kind() {
        ErrorKind::Compacted => error.context(format_args!(
            "the cluster has compacted revision {revision}, the archive's, so it can't confirm it any more"
        )),
        ErrorKind::FutureRevision => error.context(format_args!(
            "the cluster has not come to revision {revision}, the archive's: it has lost data, or was restored"
        )),
        _ => error,
    }
}

/// Differences, gathered into stretches.
#[derive(Debug, Default)]
struct Stretches {
    closed: Vec<UnequalKeys>,
    open: Option<Stretch>,
}

#[derive(Debug)]
struct Stretch {
    first: Bytes,
    last: Bytes,
    changed: u64,
    missing: u64,
    extra: u64,
}

impl Stretches {
    /// Gives back how many keys are the same.
    fn note(&mut self, compared: &Compared, comparison: &Comparison<'_>) -> u64 {
        match compared {
            Compared::Same(run) => {
                self.close();
                run.records
            }
            Compared::Key { left: Some(left), right: Some(right) } if comparison.is_same(left, right) => 1,
            Compared::Key { left, right } => {
                let key = left.as_ref().or(right.as_ref()).map(|kv| &kv.key);
                key.iter().for_each(|key| self.add(key, left.is_some(), right.is_some()));
                0
            }
        }
    }

    fn add(&mut self, key: &Bytes, archived: bool, live: bool) {
        let first = || Stretch { first: key.clone(), last: key.clone(), changed: 0, missing: 0, extra: 0 };
        let stretch = self.open.get_or_insert_with(first);
        stretch.last.clone_from(key);
        match (archived, live) {
            (true, false) => stretch.missing += 1,
            (false, true) => stretch.extra += 1,
            _ => stretch.changed += 1,
        }
    }

    /// The last that there may be stays open.
    fn close(&mut self) {
        if self.closed.len() + 1 < MAX_STRETCHES {
            self.closed.extend(self.open.take().map(UnequalKeys::from));
        }
    }

    fn finish(mut self) -> Vec<UnequalKeys> {
        self.closed.extend(self.open.map(UnequalKeys::from));
        self.closed
    }
}

impl From<Stretch> for UnequalKeys {
    fn from(Stretch { first, last, changed, missing, extra }: Stretch) -> Self {
        let range = if first == last {
            KeyRange::key(first)
        } else {
            KeyRange::between(first, [&last[..], b"\0"].concat())
        };
        Self { range, changed, missing, extra }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(keys: impl IntoIterator<Item = u32>) -> Vec<UnequalKeys> {
        let mut stretches = Stretches::default();
        for key in keys {
            stretches.add(&Bytes::from(format!("{key:05}")), true, false);
            stretches.close();
        }
        stretches.finish()
    }

    #[test]
    fn the_last_stretch_covers_what_follows() {
        assert_eq!(gathered([]), []);
        let few = gathered([1, 2]);
        assert_eq!(
            few.iter().map(|one| one.range.clone()).collect::<Vec<_>>(),
            ["00001", "00002"].map(KeyRange::key)
        );
        let many = gathered(0..5000);
        let last = many.last().unwrap();
        assert_eq!((many.len(), last.missing), (MAX_STRETCHES, 4001));
        assert!(last.range.contains(b"00999") && last.range.contains(b"04999"));
    }
}
