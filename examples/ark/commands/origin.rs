//! What a restore reads: a whole archive, or what is left of one.

use etcd_ark::Client;
use etcd_ark::archive::{Auth, Header, LostKeys, Summary};
use etcd_ark::backup::{ArchiveFile, Restore, RestorePlan, SalvagedFile};

use super::unlock;
use crate::args::Plan as Arguments;
use crate::failure::Failure;
use crate::progress::{ProgressLine, Unit};

#[derive(Debug)]
pub(super) enum Origin {
    Whole(Box<ArchiveFile>),
    Salvaged(Box<SalvagedFile>),
}

impl Origin {
    pub(super) async fn open(arguments: &Arguments) -> Result<Self, Failure> {
        if !arguments.salvage {
            let archive = unlock::open(&arguments.file, &arguments.unlock).await?;
            return Ok(Self::Whole(Box::new(archive)));
        }
        let line = ProgressLine::new(Unit::Keys);
        let observe = move |progress| line.show(progress);
        let left = unlock::salvage(&arguments.file, &arguments.unlock, observe).await?;
        Ok(Self::Salvaged(Box::new(left)))
    }

    pub(super) fn header(&self) -> Option<&Header> {
        match self {
            Self::Whole(archive) => Some(archive.header()),
            Self::Salvaged(archive) => archive.report().header.as_ref(),
        }
    }

    pub(super) fn summary(&self) -> Option<Summary> {
        match self {
            Self::Whole(archive) => Some(archive.summary()),
            Self::Salvaged(_) => None,
        }
    }

    /// Users and roles, if they are in it and were not damaged.
    pub(super) async fn auth(&mut self) -> Result<Option<Auth>, Failure> {
        match self {
            Self::Whole(archive) => Ok(archive.auth().await?),
            Self::Salvaged(_) => Ok(None),
        }
    }

    pub(super) fn lost(&self) -> &[LostKeys] {
        match self {
            Self::Whole(_) => &[],
            Self::Salvaged(archive) => &archive.report().lost,
        }
    }

    pub(super) async fn plan(
        &mut self,
        restore: &Restore,
        client: &Client,
    ) -> etcd_ark::Result<RestorePlan<'_>> {
        match self {
            Self::Whole(archive) => restore.plan(client, archive).await,
            Self::Salvaged(archive) => restore.plan_salvaged(client, archive).await,
        }
    }
}
