//! The keys of a member's whole database, for clusters that compact their history faster than it can be read.
//!
//! A snapshot is one transaction on a member's disk: no history is needed to read it, however often that is
//! compacted meanwhile. It is spooled to a temporary file, since the tree in it is in no order that could be read
//! as it comes; its rows are in the order of revisions, so that they are sorted by key in a second one.

mod contents;
mod file;
mod merge;
mod page;
mod row;
mod sort;
mod spool;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use tokio::task::spawn_blocking;

use self::contents::Contents;
use self::merge::Merge;
use self::spool::Spooled;
use super::progress::{Observer, Phase};
use crate::client::{Client, Get};
use crate::error::{Error, ErrorKind, Result};
use crate::stream::ScanPage;
use crate::types::{Header, KeyRange, KeyValue, Namespace, Revision};

const PAGE_BYTES: usize = 2 << 20;

/// The keys of a range in key order, as a member's snapshot holds them.
#[derive(Debug)]
pub(super) struct Database {
    header: Header,
    namespace: Namespace,
    merge: Option<Merge>,
}

impl Database {
    /// Takes a snapshot that holds at least what had been written when this was called, and sorts its keys.
    pub(super) async fn take(client: &Client, range: &KeyRange, observer: &Observer) -> Result<Self> {
        let newest = client.send(Get::new(KeyRange::key("\0")).count_only()).await?.header.revision;
        let namespace = client.current_namespace().clone();
        let wanted = namespace.range(range);
        let mut failure = Error::new(ErrorKind::Config, "no endpoint was given");
        for member in client.members() {
            let mut progress = observer.begin(Phase::Fetching, None);
            let fetched = async {
                let spooled = Spooled::fetch(&member, &mut progress).await?;
                Self::sort(spooled, wanted.clone(), newest).await
            };
            match fetched.await {
                Ok((header, merge)) => return Ok(Self { header, namespace, merge: Some(merge) }),
                Err(error) => failure = error.context(member.endpoint()),
            }
        }
        Err(failure)
    }

    async fn sort(spooled: Spooled, wanted: KeyRange, newest: Revision) -> Result<(Header, Merge)> {
        let Spooled { file, header } = spooled;
        let contents = blocking(move || Contents::read(file, &wanted)).await?;
        let revision = contents.revision;
        if revision < newest {
            let message = format!("the member is behind, at revision {revision} of {newest}");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok((Header { revision, ..header }, contents.merge))
    }

    /// Whose database it is, at which revision.
    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// The next keys; `None` after the last.
    pub(super) async fn next_page(&mut self) -> Result<Option<ScanPage>> {
        let Some(mut merge) = self.merge.take() else { return Ok(None) };
        let (merge, kvs) = blocking(move || merge.next_page(PAGE_BYTES).map(|kvs| (merge, kvs))).await?;
        if kvs.is_empty() {
            return Ok(None);
        }
        self.merge = Some(merge);
        let stripped =
            kvs.into_iter().map(|kv| self.namespace.strip_kv(kv)).collect::<Result<Vec<KeyValue>>>();
        Ok(Some(ScanPage { header: self.header, total: 0, kvs: stripped? }))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::Io, "reading the database was cut off").with_source(panic))
    })
}

/// What is wrong with a database that came with the right digest: it is so on the member's disk.
fn damaged(what: &str, page: u64) -> Error {
    let message = format!("the member's database is damaged: {what} on page {page}; try another member");
    Error::new(ErrorKind::Corrupt, message)
}

fn cannot_spool(error: io::Error) -> Error {
    let message = "cannot keep the database in a temporary file; see to room there, or set TMPDIR";
    Error::new(ErrorKind::Io, message).with_source(error)
}

/// A number of a fixed place, in the byte order of the machine that wrote the file: of all that run etcd, little-endian.
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|number| u64::from_le_bytes(*number))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|number| u32::from_le_bytes(*number))
}

/// Fewer bytes if the file ends before; memory grows with what is there.
fn read_at(file: &mut File, at: u64, len: u64) -> Result<Bytes> {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.take(len).read_to_end(&mut bytes));
    read.map_err(cannot_spool)?;
    Ok(bytes.into())
}

fn slice(bytes: &Bytes, at: usize, len: usize) -> Option<Bytes> {
    let end = at.checked_add(len)?;
    (end <= bytes.len()).then(|| bytes.slice(at..end))
}
