use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::json_lines::{EndLine, Line};
use super::{TextFormat, etcdctl, shield};
use crate::archive::Lease;
use crate::backup::open::ArchiveFile;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{KeyRange, KeyValue};

/// Writes an archive as text.
///
/// ```no_run
/// # async fn example() -> etcd_ark::Result<()> {
/// use etcd_ark::backup::{ArchiveFile, Export, TextFormat};
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// let mut text = Vec::new();
/// Export::new(TextFormat::JsonLines).write_to(&mut archive, &mut text).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Export {
    format: TextFormat,
    range: Option<KeyRange>,
}

impl Export {
    /// Of every key, in this format.
    #[must_use]
    pub fn new(format: TextFormat) -> Self {
        Self { format, range: None }
    }

    /// Writes only the keys of this range. Default: every key.
    #[must_use]
    pub fn range(self, range: impl Into<KeyRange>) -> Self {
        Self { range: Some(range.into()), ..self }
    }

    /// Writes the text block by block, and says how many records it has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] or [`ErrorKind::Corrupt`]. What was written until then is incomplete; JSON of either kind shows it.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; what was written until then is incomplete.
    pub async fn write_to<W>(&self, archive: &mut ArchiveFile, writer: &mut W) -> Result<u64>
    where
        W: AsyncWrite + Unpin + Send,
    {
        write(writer, self.start(archive)?).await?;
        let mut count = 0;
        let mut records = archive.records(self.range.clone().unwrap_or_else(KeyRange::all));
        while let Some(kvs) = records.next_block().await? {
            let mut text = Vec::new();
            for kv in &kvs {
                text.extend(self.record(kv, count)?);
                count += 1;
            }
            write(writer, text).await?;
        }
        write(writer, self.end(archive, count).await?).await?;
        writer.flush().await.map_err(cannot_write)?;
        Ok(count)
    }

    fn start(&self, archive: &ArchiveFile) -> Result<Vec<u8>> {
        let header = archive.header();
        match self.format {
            TextFormat::JsonLines => {
                let header = crate::archive::Header {
                    range: self.range.clone().unwrap_or_else(|| header.range.clone()),
                    ..header.clone()
                };
                json(&Line::Header((&header).into()))
            }
            TextFormat::Etcdctl => Ok(etcdctl::start(header).into()),
            TextFormat::Shield => Ok(Vec::new()),
        }
    }

    fn record(&self, kv: &KeyValue, before: u64) -> Result<Vec<u8>> {
        match self.format {
            TextFormat::JsonLines => json(&Line::Record(kv.into())),
            TextFormat::Etcdctl => etcdctl::record(kv, before == 0).map_err(not_written),
            TextFormat::Shield => Ok(shield::line(&kv.key, &kv.value).into()),
        }
    }

    async fn end(&self, archive: &ArchiveFile, records: u64) -> Result<Vec<u8>> {
        match self.format {
            TextFormat::JsonLines => {
                let whole = records == archive.summary().records;
                let content_root = whole.then(|| archive.summary().content_root.to_string());
                let mut text = Vec::new();
                for lease in leases(archive).await? {
                    text.extend(json(&Line::Lease((&lease).into()))?);
                }
                text.extend(json(&Line::End(EndLine { records, content_root }))?);
                Ok(text)
            }
            TextFormat::Etcdctl => Ok(etcdctl::end(records).into()),
            TextFormat::Shield => Ok(Vec::new()),
        }
    }
}

async fn leases(archive: &ArchiveFile) -> Result<Vec<Lease>> {
    archive.all_records().all_facts::<Vec<Lease>>().await.map(|frames| frames.concat())
}

fn json(line: &Line) -> Result<Vec<u8>> {
    line.write().map_err(not_written)
}

fn not_written(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write JSON").with_source(error)
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), text: Vec<u8>) -> Result<()> {
    writer.write_all(&text).await.map_err(cannot_write)
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write the text").with_source(error)
}
