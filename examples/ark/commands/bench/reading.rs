//! Reading all keys in one of the ways.

use std::time::{Duration, Instant};

use etcd_ark::{self as etcd, Get, KeyValue, Scan, ScanWay};
use futures_util::TryStreamExt;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::figures::{Opening, Pass};
use super::subject::{PAGE_TIMEOUT, Subject};
use super::way::{Kind, Way};
use crate::failure::{Exit, Failure};
use crate::progress::ProgressLine;

/// What other clients ask for at once.
const FAR_END_PAGE: u32 = 1000;
/// A turn in which nothing is read.
const REST: Duration = Duration::from_secs(1);

/// What is read, and how far it has come: that is told whenever the reading is dropped.
pub(super) struct Reading<'a> {
    pub(super) subject: &'a Subject,
    pub(super) way: Way,
    pub(super) pass: &'a mut Pass,
    pub(super) began: Instant,
    pub(super) line: &'a ProgressLine,
    /// What the line calls it.
    pub(super) title: &'a str,
}

impl Reading<'_> {
    pub(super) async fn read(mut self) -> Result<(), Failure> {
        match self.way.kind {
            Kind::Nothing => sleep(REST).await,
            Kind::Pages => self.scan(ScanWay::Pages).await?,
            Kind::Streams => {
                self.scan(ScanWay::Streams).await?;
                self.streamed()?;
            }
            Kind::FarEnd => self.far_end().await?,
            Kind::Snapshot => self.snapshot().await?,
        }
        Ok(())
    }

    async fn scan(&mut self, way: ScanWay) -> etcd::Result<()> {
        let Subject { client, range, revision, .. } = self.subject;
        let scan = Scan::new(range.clone()).at(*revision).concurrency(self.way.concurrency).way(way);
        let mut pages = client.scan(scan);
        while let Some(page) = pages.next_page().await? {
            self.came(page.kvs.len(), bytes_of(&page.kvs));
        }
        Ok(())
    }

    /// The first page is none of a stream.
    fn streamed(&self) -> Result<(), Failure> {
        match self.pass.pages {
            0..=1 => Err(Failure::new(Exit::Other, "all keys came with the first page")),
            _ => Ok(()),
        }
    }

    async fn far_end(&mut self) -> etcd::Result<()> {
        let mut rest = Some(self.subject.range.clone());
        while let Some(range) = rest {
            let get = Get::new(range.clone()).at(self.subject.revision).limit(FAR_END_PAGE);
            let page = self.subject.client.send_within(get, PAGE_TIMEOUT).await?;
            self.came(page.kvs.len(), bytes_of(&page.kvs));
            rest = page.kvs.last().filter(|_| page.more).map(|last| range.after(&last.key));
        }
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<(), Failure> {
        let (member, _) = self.subject.member.as_ref().ok_or_else(silent)?;
        let mut chunks = member.snapshot().await?;
        while let Some(chunk) = chunks.try_next().await? {
            self.came(0, chunk.len());
            // A stream that is always ready would not let go when its time is over.
            yield_now().await;
        }
        Ok(())
    }

    fn came(&mut self, keys: usize, bytes: usize) {
        if self.pass.pages == 0 {
            self.pass.opening = Opening { keys: keys as u64, time: self.began.elapsed() };
        }
        self.pass.keys += keys as u64;
        self.pass.bytes += bytes as u64;
        self.pass.pages += 1;
        self.line.show_reading(self.title, self.pass.keys, self.pass.bytes);
    }
}

fn bytes_of(kvs: &[KeyValue]) -> usize {
    kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum()
}

fn silent() -> Failure {
    Failure::new(Exit::Connect, "no member tells how it is")
}
