use std::sync::Arc;
use std::time::Instant;

use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::pace::Pace;
use super::pager::{Page, Pager, Request};
use super::scan_stream::ScanPage;
use super::segment::{Segment, Source};
use super::sizing::bytes_of;
use super::streamless::Streamless;
use super::{Scan, ScanWay};
use crate::client::{Client, Get, GetResult};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Bulk, Windows};
use crate::types::KeyValue;

/// A range of fewer pages is not worth a connection for streams.
const LEAST_PAGES_OF_A_STREAM: u64 = 4;

/// Reads ahead of whoever takes the pages. Each request is a task of its own, so that answers are decoded
/// while the caller works on earlier ones; all end when this is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    client: Client,
    scan: Scan,
    pager: Pager,
    pace: Pace,
    tasks: JoinSet<Outcome>,
    /// Streams that nobody listens to for the moment, which stops their members.
    quiet: Vec<Segment>,
    /// `None` until there is a stream.
    source: Option<Arc<Source>>,
}

/// What a task brought.
#[derive(Debug)]
enum Outcome {
    Page(Request, Result<GetResult>),
    Chunk(Box<Segment>, Result<Option<Vec<KeyValue>>>),
}

impl Reader {
    pub(super) fn new(client: Client, scan: Scan) -> Self {
        let pager = Pager::new(&scan.range, scan.revision, scan.page_bytes);
        let pace = Pace::new(scan.bytes_per_second, Instant::now());
        Self { client, scan, pager, pace, tasks: JoinSet::new(), quiet: Vec::new(), source: None }
    }

    /// The next page with keys; the first may have none. `None` after the last.
    pub(super) async fn next_page(&mut self) -> Result<Option<ScanPage>> {
        loop {
            while let Some(done) = self.tasks.try_join_next() {
                self.take(done)?;
            }
            let page = self.pager.pop();
            self.start();
            if let Some(Page { header, left, kvs }) = page {
                return Ok(Some(ScanPage { header, total: left, kvs }));
            }
            if self.pager.is_over() {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    /// Waits for an answer, or until more may be asked for.
    async fn wait(&mut self) -> Result<()> {
        let opens = self.pace.closed_until(Instant::now());
        tokio::select! {
            Some(done) = self.tasks.join_next() => self.take(done),
            () = sleep_until(opens.unwrap_or_else(Instant::now).into()), if opens.is_some() => Ok(()),
            else => Err(cut_off()),
        }
    }

    /// Begins whatever may be under way at once.
    fn start(&mut self) {
        while self.pace.closed_until(Instant::now()).is_none() && (self.listen() || self.ask()) {}
    }

    /// Goes on with a stream that nobody listens to: the one whose keys come first.
    fn listen(&mut self) -> bool {
        let first = self.pager.first_of(self.quiet.iter().map(|segment| segment.id));
        let Some(at) = first.and_then(|id| self.quiet.iter().position(|segment| segment.id == id)) else {
            return false;
        };
        let is_next = self.pager.comes_next(self.quiet[at].id);
        if !is_next && self.pager.in_flight().held_bytes() >= self.scan.max_in_flight_bytes {
            return false;
        }
        let mut segment = Box::new(self.quiet.swap_remove(at));
        self.tasks.spawn(async move {
            let outcome = segment.next().await;
            Outcome::Chunk(segment, outcome)
        });
        true
    }

    /// Asks for the next part of the range, if there is room for it.
    fn ask(&mut self) -> bool {
        let in_flight = self.pager.in_flight();
        let room =
            in_flight.requests() < self.scan.concurrency && in_flight.bytes() < self.scan.max_in_flight_bytes;
        if !room && !self.pager.waits() {
            return false;
        }
        let ahead = self.scan.concurrency > 1;
        match self.source() {
            Some(source) => self.ask_stream(source, ahead),
            None => self.ask_page(ahead),
        }
    }

    fn ask_page(&mut self, ahead: bool) -> bool {
        let Some(request) = self.pager.request(ahead) else { return false };
        self.pace.spend(request.bytes, Instant::now());
        let (client, timeout, get) = (self.client.clone(), self.scan.page_timeout, self.get(&request));
        self.tasks.spawn(async move { Outcome::Page(request, client.send_within(get, timeout).await) });
        true
    }

    /// Once the revision is fixed any member will do that has reached it.
    fn get(&self, request: &Request) -> Get {
        let get = Get::new(request.range.clone()).limit(request.limit.try_into().unwrap_or(u32::MAX));
        match (self.pager.revision(), self.pager.pinned()) {
            (Some(revision), Some(_)) => get.at(revision).serializable(),
            (Some(revision), None) => get.at(revision),
            _ => get,
        }
    }

    fn ask_stream(&mut self, source: Arc<Source>, ahead: bool) -> bool {
        let Some(request) = self.pager.stream(ahead, self.window()) else { return false };
        self.quiet.push(Segment::new(request.id, &request.range, source));
        self.listen()
    }

    /// Where streams are read from; `None` for pages.
    fn source(&mut self) -> Option<Arc<Source>> {
        let pinned = self.pager.pinned()?;
        let worth_it = match self.scan.way {
            ScanWay::Pages => false,
            ScanWay::Streams => true,
            ScanWay::Auto if self.source.is_some() => self.has_streams(),
            ScanWay::Auto => {
                let pages = self.pager.bytes_left()? / self.scan.page_bytes as u64;
                pages >= LEAST_PAGES_OF_A_STREAM && self.has_streams()
            }
        };
        if !worth_it {
            return None;
        }
        let window = u32::try_from(self.window()).unwrap_or(u32::MAX);
        let streams = u32::try_from(self.scan.concurrency).unwrap_or(u32::MAX);
        let source = self.source.get_or_insert_with(|| {
            Arc::new(Source {
                client: self.client.clone(),
                streamless: Streamless::of(&self.client),
                bulk: Bulk::new(Windows::of(window, streams)),
                revision: self.pager.revision().unwrap_or(pinned.revision),
                cluster: pinned.cluster_id,
                timeout: self.scan.page_timeout,
            })
        });
        Some(Arc::clone(source))
    }

    fn has_streams(&self) -> bool {
        Streamless::of(&self.client).members(&self.client).is_some()
    }

    /// What a stream may send before it is read: with the others, half of what may be in flight.
    fn window(&self) -> usize {
        (self.scan.max_in_flight_bytes / 2 / self.scan.concurrency).max(LEAST_WINDOW)
    }

    fn take(&mut self, done: Result<Outcome, JoinError>) -> Result<()> {
        match done.map_err(|error| cut_off().with_source(error))? {
            Outcome::Page(request, answer) => {
                let answer = answer?;
                self.pace.refund(request.bytes);
                self.pace.spend(bytes_of(&answer.kvs), Instant::now());
                self.pager.received(request.id, answer)
            }
            Outcome::Chunk(segment, Ok(Some(kvs))) => {
                self.pace.spend(bytes_of(&kvs), Instant::now());
                self.pager.took(segment.id, kvs)?;
                self.quiet.push(*segment);
                Ok(())
            }
            Outcome::Chunk(segment, Ok(None)) => self.pager.finished(segment.id),
            Outcome::Chunk(segment, Err(error)) => self.fall_back(&segment, error),
        }
    }

    /// Reads by pages what no stream can be had of.
    fn fall_back(&mut self, segment: &Segment, error: Error) -> Result<()> {
        if self.scan.way == ScanWay::Streams || error.kind() != ErrorKind::ServerTooOld {
            return Err(error);
        }
        self.pager.give_back(segment.id);
        Ok(())
    }
}

/// HTTP/2's own default: less makes no stream any faster.
const LEAST_WINDOW: usize = 64 << 10;

fn cut_off() -> Error {
    Error::new(ErrorKind::Unavailable, "the scan was cut off: the runtime that it reads on is shutting down")
}
