use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::reader::Reader;
use crate::error::Result;
use crate::types::{Header, KeyValue, Revision};

/// One page of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanPage {
    /// Who answered. Of keys that came over a stream, which tells at its end, who fixed the revision.
    pub header: Header,
    /// How many keys there were from this page's first on, this page included.
    pub total: u64,
    /// The keys, ascending. Empty only if the whole range is.
    pub kvs: Vec<KeyValue>,
}

/// The keys of a range at one revision, ascending. Made by [`Client::scan`](crate::Client::scan).
pub struct ScanStream {
    pages: BoxStream<'static, Result<ScanPage>>,
    page: vec::IntoIter<KeyValue>,
    pinned: Option<Header>,
    total: Option<u64>,
}

impl ScanStream {
    pub(super) fn new(reader: Reader) -> Self {
        let pages = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.next_page().await {
                Ok(page) => Some((Ok(page?), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { pages: pages.boxed(), page: Vec::new().into_iter(), pinned: None, total: None }
    }

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
