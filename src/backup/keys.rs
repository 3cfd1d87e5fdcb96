use super::database::Database;
use super::progress::Observer;
use crate::client::Client;
use crate::error::Result;
use crate::stream::{ScanPage, ScanStream};
use crate::types::{Header, KeyRange};

/// Where a backup's keys come from, ascending and of one revision.
#[derive(Debug)]
pub(super) enum Keys {
    Scan(ScanStream),
    Database(Box<Database>),
}

impl Keys {
    pub(super) async fn database(client: &Client, range: &KeyRange, observer: &Observer) -> Result<Self> {
        let database = Box::pin(Database::take(client, range, observer)).await?;
        Ok(Self::Database(Box::new(database)))
    }

    /// The next keys; `None` after the last.
    pub(super) async fn next_page(&mut self) -> Result<Option<ScanPage>> {
        match self {
            Self::Scan(scan) => scan.next_page().await,
            Self::Database(database) => database.next_page().await,
        }
    }

    /// Who tells them, at which revision; known once the first page was asked for.
    pub(super) fn pinned(&self) -> Option<Header> {
        match self {
            Self::Scan(scan) => scan.pinned(),
            Self::Database(database) => Some(database.header()),
        }
    }

    /// How many there are, if that is known.
    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Self::Scan(scan) => scan.total(),
            Self::Database(_) => None,
        }
    }
}
