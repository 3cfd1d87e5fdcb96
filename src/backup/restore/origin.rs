use crate::backup::compare::{Archived, Live, Side};
use crate::backup::leasing::Leasing;
use crate::backup::records::Records;
use crate::backup::selection::Segment;
use crate::client::{Client, Get};
use crate::error::Result;
use crate::types::{Header, KeyRange, KeyValue};

/// What a restore reads: an archive, or another cluster at one revision. Read anew for every pass.
#[derive(Clone, Debug)]
pub(super) enum Origin<'a> {
    /// `leased` is whether any of its records may have a lease.
    Archive {
        records: &'a Records,
        leased: bool,
    },
    Cluster(Client, Header),
}

impl<'a> Origin<'a> {
    /// The selected records, as they are to be in the target.
    pub(super) async fn open(&self, segments: &[Segment], leasing: Leasing) -> Result<Side<'a>> {
        Ok(match self {
            Self::Archive { records, leased } => {
                Archived::new(records, segments, *leased).leasing(leasing).into()
            }
            Self::Cluster(client, at) => Live::source(client, segments, leasing, at.revision).await?.into(),
        })
    }

    /// Whether an archive's records may have leases; a cluster's blocks tell it themselves.
    pub(super) fn is_leased(&self) -> bool {
        matches!(self, Self::Archive { leased: true, .. })
    }

    /// Some keys of the range, if there are any.
    pub(super) async fn some_of(&self, range: KeyRange) -> Result<Vec<KeyValue>> {
        match self {
            Self::Archive { records, .. } => Ok(records.of(range).next_block().await?.unwrap_or_default()),
            Self::Cluster(client, at) => Ok(client.send(Get::new(range).limit(1).at(at.revision)).await?.kvs),
        }
    }
}
