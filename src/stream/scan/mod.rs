#[cfg(test)]
mod model;
mod pager;
mod plan;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use self::pager::{Page, Pager};
use crate::client::Client;
use crate::error::Result;
use crate::types::{Header, KeyRange, KeyValue, Revision};

const PAGE_BYTES: usize = 2 << 20;
/// The first page has a server count the whole range, which takes seconds for many millions of keys.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a range of any size at one revision, as a stream.
#[derive(Clone, Debug)]
pub struct Scan {
    range: KeyRange,
    revision: Option<Revision>,
    page_bytes: usize,
    page_timeout: Duration,
}

impl Scan {
    /// Reads this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self { range: range.into(), revision: None, page_bytes: PAGE_BYTES, page_timeout: PAGE_TIMEOUT }
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

    /// How long one page may take, all attempts together. Default: 30 s.
    #[must_use]
    pub fn page_timeout(self, timeout: Duration) -> Self {
        Self { page_timeout: timeout, ..self }
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
    /// The first page fixes the revision. Memory is bounded by a page; a page is read when the
    /// stream is polled for it.
    ///
    /// The work that this is for the servers grows with the number of keys, not, as with pages towards a
    /// fixed end, with its square: only the first page has the whole range counted.
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
    /// what was read until then is a part only.
    ///
    /// # Cancel safety
    ///
    /// The stream may be dropped at any time, and so may the future of its next item, after which
    /// it goes on where it was.
    pub fn scan(&self, scan: impl Into<Scan>) -> ScanStream {
        let scan = scan.into();
        let pager = Pager::new(scan.range, scan.revision, scan.page_bytes);
        let first = Some((self.clone(), pager, scan.page_timeout));
        let pages = stream::unfold(first, |state| async {
            let (client, mut pager, timeout) = state?;
            match read_page(&client, &mut pager, timeout).await {
                Ok(page) => Some((Ok(page?), Some((client, pager, timeout)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        ScanStream { pages: pages.boxed(), page: Vec::new().into_iter(), pinned: None, total: None }
    }
}

/// The next page with keys; the first may have none.
async fn read_page(client: &Client, pager: &mut Pager, timeout: Duration) -> Result<Option<ScanPage>> {
    while let Some(request) = pager.request() {
        let Page { header, left, kvs } = pager.received(client.send_within(request, timeout).await?)?;
        if !kvs.is_empty() || left == 0 {
            return Ok(Some(ScanPage { header, total: left, kvs }));
        }
    }
    Ok(None)
}

/// One page of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanPage {
    /// Who answered.
    pub header: Header,
    /// How many keys there were from this page's first on, this page included.
    pub total: u64,
    /// The keys, ascending. Empty only if the whole range is.
    pub kvs: Vec<KeyValue>,
}

/// The keys of a range at one revision, ascending. Made by [`Client::scan`].
pub struct ScanStream {
    pages: BoxStream<'static, Result<ScanPage>>,
    page: vec::IntoIter<KeyValue>,
    pinned: Option<Header>,
    total: Option<u64>,
}

impl ScanStream {
    /// The revision that every key is read at; `None` until the first page is there.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.pinned.map(|header| header.revision)
    }

    /// The answer that fixed the revision: which member of which cluster gave it. `None` until the
    /// first page is there.
    #[must_use]
    pub fn pinned(&self) -> Option<Header> {
        self.pinned
    }

    /// How many keys the whole range holds; `None` until the first page is there.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next page; `None` after the last. Keys that were taken one by one are not in it.
    ///
    /// # Errors
    ///
    /// As the stream's items.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; the page is not lost.
    pub async fn next_page(&mut self) -> Result<Option<ScanPage>> {
        let page = poll_fn(|cx| self.poll_page(cx)).await;
        page.transpose()
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ScanPage>>> {
        let page = ready!(self.pages.poll_next_unpin(cx));
        if let (Some(Ok(page)), None) = (&page, self.pinned) {
            self.pinned = Some(page.header);
            self.total = Some(page.total);
        }
        Poll::Ready(page)
    }
}

impl Stream for ScanStream {
    type Item = Result<KeyValue>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(kv) = self.page.next() {
                return Poll::Ready(Some(Ok(kv)));
            }
            match ready!(self.poll_page(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(page)) => self.page = page.kvs.into_iter(),
            }
        }
    }
}

impl fmt::Debug for ScanStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanStream")
            .field("pinned", &self.pinned)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
