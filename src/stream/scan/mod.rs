mod bounds;
mod check;
mod in_flight;
#[cfg(test)]
mod model;
mod pace;
mod pager;
mod plan;
mod reader;
mod scan_stream;
mod segment;
mod sizing;
mod streamless;

use std::time::Duration;

use self::reader::Reader;
pub use self::scan_stream::{ScanPage, ScanStream};
use crate::client::Client;
use crate::types::{KeyRange, Revision};

const PAGE_BYTES: usize = 2 << 20;
const CONCURRENCY: usize = 4;
const MAX_IN_FLIGHT_BYTES: usize = 32 << 20;
/// The first page has a server count the whole range, which takes seconds for many millions of keys.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a range of any size at one revision, as a stream.
///
/// # What others notice
///
/// Members answer a scan on the cores that answer everybody else, so whoever puts or gets meanwhile waits longer; as a
/// rule the longer, the more parts are read at once. A lower [`Scan::concurrency`] takes more time instead. [`Scan::rate_limit`]
/// spreads the reading out: others wait as long behind a page, but there are fewer pages a second.
/// [`Scan::max_in_flight_bytes`] bounds this client's memory, and spares the members only where the caller is slow. "Puts
/// beside scans" in the repository's `docs/benchmarks.md` has measured times; `ark bench` measures an own cluster.
#[derive(Clone, Debug)]
pub struct Scan {
    range: KeyRange,
    revision: Option<Revision>,
    page_bytes: usize,
    page_timeout: Duration,
    concurrency: usize,
    max_in_flight_bytes: usize,
    bytes_per_second: Option<u64>,
    way: ScanWay,
}

/// How a scan reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScanWay {
    /// What is large by streams, from members that have them, and everything else by pages.
    #[default]
    Auto,
    /// By pages alone, which every server knows.
    Pages,
    /// By streams after the first page, which only etcd 3.7 and later know. For a range of any size they save
    /// the server the counting of what is left.
    Streams,
}

impl Scan {
    /// Reads this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            revision: None,
            page_bytes: PAGE_BYTES,
            page_timeout: PAGE_TIMEOUT,
            concurrency: CONCURRENCY,
            max_in_flight_bytes: MAX_IN_FLIGHT_BYTES,
            bytes_per_second: None,
            way: ScanWay::Auto,
        }
    }

    /// Reads every key with this prefix.
    #[must_use]
    pub fn prefix(prefix: impl Into<bytes::Bytes>) -> Self {
        Self::new(KeyRange::prefix(prefix))
    }

    /// Reads every key.
    #[must_use]
    pub fn all() -> Self {
        Self::new(KeyRange::all())
    }

    /// Reads this range instead, in the same way.
    #[cfg(feature = "backup")]
    #[must_use]
    pub(crate) fn over(self, range: KeyRange) -> Self {
        Self { range, ..self }
    }

    /// Reads as of this revision. Default: the newest when the first page is read.
    #[must_use]
    pub fn at(self, revision: Revision) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// How many bytes of keys and values a page aims at. Default: 2 MiB. Twice as many where that
    /// saves the server work. Pages are limited by number of keys, learned from the pages before, so
    /// that single ones may be larger still.
    #[must_use]
    pub fn page_bytes(self, bytes: usize) -> Self {
        Self { page_bytes: bytes.max(1), ..self }
    }

    /// How long one page may take, all attempts together, and how long a stream may bring nothing. Default:
    /// 30 s.
    #[must_use]
    pub fn page_timeout(self, timeout: Duration) -> Self {
        Self { page_timeout: timeout, ..self }
    }

    /// How many parts of the range are read at once, from whichever members are the least busy. They are
    /// delivered in order all the same. 1 reads one after the other, the next while the caller works on the one
    /// before. Default: 4.
    #[must_use]
    pub fn concurrency(self, parts: usize) -> Self {
        Self { concurrency: parts.max(1), ..self }
    }

    /// How many bytes of keys and values may be read, or be asked for, before the caller has taken those before
    /// them. One page is always asked for. Default: 32 MiB.
    #[must_use]
    pub fn max_in_flight_bytes(self, bytes: usize) -> Self {
        Self { max_in_flight_bytes: bytes, ..self }
    }

    /// Reads no more than so many bytes of keys and values a second on average, to spare the servers. Default:
    /// as fast as they answer.
    #[must_use]
    pub fn rate_limit(self, bytes_per_second: u64) -> Self {
        Self { bytes_per_second: Some(bytes_per_second.max(1)), ..self }
    }

    /// How to read. Default: [`ScanWay::Auto`].
    #[must_use]
    pub fn way(self, way: ScanWay) -> Self {
        Self { way, ..self }
    }
}

impl<T: Into<KeyRange>> From<T> for Scan {
    fn from(range: T) -> Self {
        Self::new(range)
    }
}

impl Client {
    /// Reads a range of any size, key by key, ascending, all at one revision.
    ///
    /// The first page fixes the revision. What follows is read in several parts at once, ahead of the caller
    /// but never by more than [`Scan::max_in_flight_bytes`], from any members that have reached that revision.
    /// Nothing is read before the stream is polled for the first time.
    ///
    /// The work that this is for the servers grows with the number of keys, not, as with pages towards a
    /// fixed end, with its square: only the first page has the whole range counted. Where servers have them,
    /// etcd 3.7 and later, streams spare them that, too.
    ///
    /// ```no_run
    /// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
    /// use etcd_ark::Scan;
    /// use futures_util::TryStreamExt;
    ///
    /// let mut keys = client.scan(Scan::prefix("/app/"));
    /// while let Some(kv) = keys.try_next().await? {
    ///     println!("{:?} at {:?}", kv.key, keys.revision());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::send`], from the stream, which ends with its first error.
    /// [`ErrorKind::Compacted`](crate::ErrorKind::Compacted) if the revision is compacted meanwhile:
    /// what was read until then is a part only. [`ErrorKind::ServerTooOld`](crate::ErrorKind::ServerTooOld)
    /// where [`ScanWay::Streams`] asks for what no member has.
    ///
    /// # Cancel safety
    ///
    /// The stream may be dropped at any time, which ends all reading, and so may the future of its next item, after which
    /// it goes on where it was.
    pub fn scan(&self, scan: impl Into<Scan>) -> ScanStream {
        ScanStream::new(Reader::new(self.clone(), scan.into()))
    }
}
