//! What a restore reads: a whole archive, or what is left of one.

use etcd_ark::archive::{Header, LostKeys};
use etcd_ark::backup::{ArchiveFile, Restore, RestoreReport, SalvagedFile};
use etcd_ark::{Client, KeyRange};

use super::unlock;
use crate::args::Restore as Arguments;
use crate::failure::Failure;
use crate::progress::{ProgressLine, Unit};

#[derive(Debug)]
pub(super) enum Origin {
    Whole(ArchiveFile),
    Salvaged(SalvagedFile),
}

impl Origin {
    pub(super) async fn open(arguments: &Arguments) -> Result<Self, Failure> {
        if !arguments.salvage {
            return unlock::open(&arguments.file, &arguments.unlock).await.map(Self::Whole);
        }
        if arguments.unlock.is_given() {
            return Err(Failure::usage(
                "an encrypted archive can't be salvaged; decrypt what is left of it first",
            ));
        }
        let line = ProgressLine::new(Unit::Keys);
        let opening = SalvagedFile::open_observed(&arguments.file, move |progress| line.show(progress));
        Ok(Self::Salvaged(opening.await?))
    }

    pub(super) fn header(&self) -> Option<&Header> {
        match self {
            Self::Whole(archive) => Some(archive.header()),
            Self::Salvaged(archive) => archive.report().header.as_ref(),
        }
    }

    pub(super) fn lost(&self) -> &[LostKeys] {
        match self {
            Self::Whole(_) => &[],
            Self::Salvaged(archive) => &archive.report().lost,
        }
    }

    /// How many keys of the range there are to restore.
    pub(super) async fn count(&mut self, range: KeyRange) -> etcd_ark::Result<u64> {
        let mut records = match self {
            Self::Whole(archive) if range == KeyRange::all() => return Ok(archive.summary().records),
            Self::Whole(archive) => archive.records(range),
            Self::Salvaged(archive) => archive.records(range),
        };
        let mut count = 0;
        while let Some(kvs) = records.next_block().await? {
            count += kvs.len() as u64;
        }
        Ok(count)
    }

    pub(super) async fn apply(
        &mut self,
        restore: &Restore,
        client: &Client,
    ) -> etcd_ark::Result<RestoreReport> {
        match self {
            Self::Whole(archive) => restore.apply(client, archive).await,
            Self::Salvaged(archive) => restore.apply_salvaged(client, archive).await,
        }
    }
}
