//! A server as etcd is until 3.6: it visits every index entry of the range that it is asked for.

use std::cell::Cell;

use bytes::Bytes;

use super::super::pager::{Pager, Request};
use crate::client::GetResult;
use crate::types::{ClusterId, Header, KeyRange, KeyValue, MemberId, Revision};

/// What a request for nothing costs, in visits: the round trip.
const EMPTY: u64 = 500;
/// As measured on etcd 3.5, in microseconds: a visit, a key that is returned, a round trip.
const TIMES: [f64; 3] = [0.32, 4.7, 150.0];

pub(super) struct Server {
    kvs: Vec<KeyValue>,
    visited: Cell<u64>,
    requests: Cell<u64>,
}

/// What a scan came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) keys: u64,
    pub(super) visited: u64,
    pub(super) requests: u64,
    pub(super) largest_answer: usize,
}

impl Figures {
    /// One request after the other, against pages of this many keys whose ends are known in advance.
    pub(super) fn time_to_ideal(&self, page: usize) -> f64 {
        let [visit, fetch, trip] = TIMES;
        let keys = self.keys as f64;
        let took = self.visited as f64 * visit + keys * fetch + self.requests as f64 * trip;
        took / (keys * (visit + fetch) + keys / page as f64 * trip)
    }
}

impl Server {
    /// Keys, ascending, with the sizes of their values.
    pub(super) fn new(keys: impl Iterator<Item = (Bytes, usize)>) -> Self {
        let value = Bytes::from(vec![0; 2 << 20]);
        let kv = |(key, len)| KeyValue {
            key,
            value: value.slice(..len),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        };
        Self { kvs: keys.map(kv).collect(), visited: Cell::default(), requests: Cell::default() }
    }

    /// Reads all of it, one request after the other, and makes sure of that.
    pub(super) fn scan(&self, page_bytes: usize) -> Figures {
        self.scan_by(page_bytes, 1, |_| 0)
    }

    /// As [`Server::scan`], with so many requests under way, of which `next` says which is answered.
    pub(super) fn scan_by(
        &self,
        page_bytes: usize,
        workers: usize,
        mut next: impl FnMut(usize) -> usize,
    ) -> Figures {
        let mut pager = Pager::new(&KeyRange::all(), None, page_bytes);
        let (mut read, mut largest_answer, mut under_way) = (0, 0, Vec::new());
        self.visited.set(0);
        self.requests.set(0);
        while !pager.is_over() {
            while under_way.len() < workers
                && let Some(request) = pager.request(workers > 1)
            {
                under_way.push(request);
            }
            let Request { id, range, limit, .. } = under_way.remove(next(under_way.len()));
            let answer = self.answer(&range, limit);
            largest_answer = largest_answer.max(size(&answer.kvs));
            pager.received(id, answer).expect("a page");
            while let Some(page) = pager.pop() {
                assert_eq!(page.left, (self.kvs.len() - read) as u64);
                assert!(
                    page.kvs == self.kvs[read..read + page.kvs.len()],
                    "a key is missing, or comes twice"
                );
                read += page.kvs.len();
            }
        }
        assert!(read == self.kvs.len() && under_way.is_empty());
        Figures {
            keys: read as u64,
            visited: self.visited.get(),
            requests: self.requests.get(),
            largest_answer,
        }
    }

    fn answer(&self, range: &KeyRange, limit: u64) -> GetResult {
        let (start, end) = range.to_wire();
        let first = self.kvs.partition_point(|kv| kv.key < start);
        let below = |kv: &KeyValue| end[..] == *b"\0" || kv.key < end;
        let count = self.kvs[first..].partition_point(below);
        let taken = count.min(usize::try_from(limit).expect("a usize"));
        self.requests.set(self.requests.get() + 1);
        self.visited.set(self.visited.get() + if count == 0 { EMPTY } else { count as u64 });
        let kvs = self.kvs[first..first + taken].to_vec();
        GetResult { header: HEADER, kvs, more: taken < count, count: count as u64 }
    }
}

const HEADER: Header =
    Header { cluster_id: ClusterId(1), member_id: MemberId(1), revision: Revision(1), raft_term: 1 };

/// What pages towards the far end come to, their limits learned from the pages before.
#[derive(Clone, Copy, Debug)]
pub(super) struct FarEnd {
    pub(super) visited: u64,
    requests: u64,
}

impl FarEnd {
    /// What a scan may visit: requests for nothing count as round trips, so round trips that it saves do, too.
    pub(super) fn allows(&self, scan: &Figures) -> u64 {
        self.visited + EMPTY * self.requests.saturating_sub(scan.requests)
    }
}

pub(super) fn far_end(server: &Server, page_bytes: usize) -> FarEnd {
    let (mut rest, mut limit, mut visited, mut requests) = (&server.kvs[..], 32, 0, 0);
    while !rest.is_empty() {
        visited += rest.len() as u64;
        requests += 1;
        let (page, after) = rest.split_at(rest.len().min(limit));
        limit = (page_bytes * page.len() / size(page)).clamp(1, 4 * limit);
        rest = after;
    }
    FarEnd { visited, requests }
}

fn size(kvs: &[KeyValue]) -> usize {
    kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum()
}
