use std::fs::File;

use futures_util::TryStreamExt;
use tokio::fs;
use tokio::io::{AsyncWriteExt, BufWriter};

use super::{blocking, cannot_spool};
use crate::backup::progress::Tracker;
use crate::client::Member;
use crate::error::Result;
use crate::types::Header;

/// Snapshots come in messages of 32 KiB; a file is written better in larger pieces.
const WRITE_BYTES: usize = 1 << 20;

/// A snapshot in a temporary file, its digest verified.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) file: File,
    /// Whose it is; its revision is not known yet.
    pub(super) header: Header,
}

impl Spooled {
    pub(super) async fn fetch(member: &Member, progress: &mut Tracker) -> Result<Self> {
        let header = member.status().await?.header;
        let file = blocking(|| tempfile::tempfile().map_err(cannot_spool)).await?;
        let mut file = BufWriter::with_capacity(WRITE_BYTES, fs::File::from_std(file));
        let mut snapshot = member.snapshot().await?;
        while let Some(chunk) = snapshot.try_next().await? {
            progress.add(0, chunk.len() as u64);
            file.write_all(&chunk).await.map_err(cannot_spool)?;
        }
        file.flush().await.map_err(cannot_spool)?;
        Ok(Self { file: file.into_inner().into_std().await, header })
    }
}
