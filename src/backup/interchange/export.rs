use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::json_lines::{EndLine, Line};
use super::{TextFormat, etcdctl, shield};
use crate::archive::{Auth, Header, Lease, Members, Options};
use crate::backup::open::ArchiveFile;
use crate::backup::selection::Selection;
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
    /// [`ErrorKind::Config`] if the archive is of another range; [`ErrorKind::Io`] or [`ErrorKind::Corrupt`]. What was
    /// written until then is incomplete; JSON of either kind shows it.
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
        let range = self.complete_range(header)?;
        match self.format {
            TextFormat::JsonLines => json(&Line::Header((&Header { range, ..header.clone() }).into())),
            TextFormat::Etcdctl => Ok(etcdctl::start(header).into()),
            TextFormat::Shield => Ok(Vec::new()),
        }
    }

    /// Of which range the text has every key: no more than the archive has. Of no range if it is made for undoing.
    fn complete_range(&self, header: &Header) -> Result<KeyRange> {
        let own = &header.range;
        let Some(asked) = self.range.as_ref().filter(|_| !own.is_empty()) else { return Ok(own.clone()) };
        let both = Selection::new().range(asked.clone()).segments(std::slice::from_ref(own))?;
        both.into_iter().next().map(|both| both.source).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("the archive is of {own}: it can't tell about {asked}; ask for a part of that"),
            )
        })
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
                let mut lines = facts(archive).await?;
                lines.push(Line::End(EndLine { records, content_root }));
                lines.iter().map(json).collect::<Result<Vec<_>>>().map(|lines| lines.concat())
            }
            TextFormat::Etcdctl => Ok(etcdctl::end(records).into()),
            TextFormat::Shield => Ok(Vec::new()),
        }
    }
}

/// What an archive holds beside keys.
async fn facts(archive: &ArchiveFile) -> Result<Vec<Line>> {
    let all = archive.all_records();
    let leases = all.all_facts::<Vec<Lease>>().await?.concat();
    let mut lines: Vec<_> = leases.iter().map(|lease| Line::Lease(lease.into())).collect();
    lines.extend(all.facts::<Auth>().await?.map(|auth| Line::Auth(auth.into())));
    lines.extend(all.facts::<Members>().await?.map(|members| Line::Members(members.into())));
    lines.extend(all.facts::<Options>().await?.map(|options| Line::Options(options.into())));
    Ok(lines)
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
