//! What a scan asks for next, as requests. Pure: answers in, requests out.

use std::collections::VecDeque;

use super::bounds::{bounds_of, range_of};
use super::check::{check_page, contradiction};
use super::in_flight::{Asked, InFlight};
use super::plan::{Ask, Keys, Plan, Wish};
use super::sizing::{Sizing, bytes_of};
use crate::client::GetResult;
use crate::error::Result;
use crate::types::{Header, KeyRange, KeyValue, Revision};

/// A position in a scan.
#[derive(Clone, Debug)]
pub(super) struct Pager {
    revision: Option<Revision>,
    pinned: Option<Header>,
    sizing: Sizing,
    plan: Plan,
    in_flight: InFlight,
    /// Keys in order, to be handed out.
    ready: VecDeque<Page>,
}

/// A request, to be answered by its number.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) range: KeyRange,
    pub(super) limit: u64,
    /// How many bytes are expected.
    pub(super) bytes: usize,
}

/// Keys that come next.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) header: Header,
    /// How many keys were left before, these included.
    pub(super) left: u64,
    pub(super) kvs: Vec<KeyValue>,
}

impl Pager {
    pub(super) fn new(range: &KeyRange, revision: Option<Revision>, page_bytes: usize) -> Self {
        let (start, end) = bounds_of(range);
        let (sizing, plan) = (Sizing::new(page_bytes), Plan::new(start, end));
        let (in_flight, ready) = (InFlight::default(), VecDeque::new());
        Self { revision, pinned: None, sizing, plan, in_flight, ready }
    }

    /// What to ask for next; `None` if there is nothing, or nothing yet.
    pub(super) fn request(&mut self, ahead: bool) -> Option<Request> {
        let ask = self.plan.ask(Wish { page: self.sizing.page(), whole: false, ahead })?;
        let bytes = usize::try_from(self.sizing.bytes_of(ask.limit)).unwrap_or(usize::MAX);
        Some(self.note(ask, bytes))
    }

    /// As [`Pager::request`], for answers that come in parts; they are best of this size.
    pub(super) fn stream(&mut self, ahead: bool, bytes: usize) -> Option<Request> {
        let page = self.sizing.page_of(bytes);
        let ask = self.plan.ask(Wish { page, whole: true, ahead })?;
        Some(self.note(ask, bytes))
    }

    fn note(&mut self, ask: Ask, bytes: usize) -> Request {
        let Ask { id, start, end, limit } = ask;
        self.in_flight.asked(Asked { id, limit, bytes });
        Request { id, range: range_of(start, end), limit, bytes }
    }

    /// The revision that all is read at; `None` before the first answer if nobody has named one.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// The answer that fixed the revision.
    pub(super) fn pinned(&self) -> Option<Header> {
        self.pinned
    }

    /// What was asked for or read, and not handed out.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// The request among these whose keys come first.
    pub(super) fn first_of(&self, ids: impl Iterator<Item = u64>) -> Option<u64> {
        ids.min_by_key(|&id| self.plan.place(id))
    }

    /// Whether the keys that come next are those of this request.
    pub(super) fn comes_next(&self, id: u64) -> bool {
        self.ready.is_empty() && self.plan.place(id) == Some(0)
    }

    /// Whether the keys that come next are not even asked for.
    pub(super) fn waits(&self) -> bool {
        self.ready.is_empty() && self.plan.waits()
    }

    /// How many bytes are left, going by those before; `None` before the first answer.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.plan.left().map(|left| self.sizing.bytes_of(left))
    }

    /// Takes the answer to a request.
    pub(super) fn received(&mut self, id: u64, answer: GetResult) -> Result<()> {
        let limit = self.in_flight.end(id).map_or(0, |asked| asked.limit);
        check_page(self.pinned, &answer, limit)?;
        let GetResult { header, kvs, count, .. } = answer;
        let is_first = self.pinned.is_none();
        self.pinned.get_or_insert(header);
        self.revision.get_or_insert(header.revision);
        self.hold(&kvs);
        let next = self.sizing.after(&kvs);
        self.plan.answered(id, Keys { header, kvs }, count).map_err(contradiction)?;
        self.hand_out();
        self.sizing = next;
        if is_first && count == 0 {
            self.ready.push_back(Page { header, left: 0, kvs: Vec::new() });
        }
        Ok(())
    }

    /// Takes a part of the answer to a request.
    pub(super) fn took(&mut self, id: u64, kvs: Vec<KeyValue>) -> Result<()> {
        let Some(header) = self.pinned else { return Ok(()) };
        self.hold(&kvs);
        self.plan.took(id, Keys { header, kvs }).map_err(contradiction)?;
        self.hand_out();
        Ok(())
    }

    /// Takes the end of the answer to a request, which came in parts.
    pub(super) fn finished(&mut self, id: u64) -> Result<()> {
        self.in_flight.end(id);
        self.plan.finished(id).map_err(contradiction)?;
        self.hand_out();
        Ok(())
    }

    /// Lets what is missing of an answer be asked for anew.
    pub(super) fn give_back(&mut self, id: u64) {
        self.in_flight.end(id);
        self.plan.give_back(id);
    }

    /// The next keys in order.
    pub(super) fn pop(&mut self) -> Option<Page> {
        let page = self.ready.pop_front()?;
        self.in_flight.handed_out(bytes_of(&page.kvs));
        Some(page)
    }

    /// Whether all was handed out.
    pub(super) fn is_over(&self) -> bool {
        self.ready.is_empty() && self.plan.is_over()
    }

    fn hold(&mut self, kvs: &[KeyValue]) {
        self.in_flight.came(bytes_of(kvs));
        self.sizing.see(kvs);
    }

    fn hand_out(&mut self) {
        while let Some((left, Keys { header, kvs })) = self.plan.hand_out(self.sizing.page()) {
            self.ready.push_back(Page { header, left, kvs });
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::ErrorKind;
    use crate::types::{ClusterId, MemberId};

    fn answer(keys: &[&str], value_len: usize, count: u64) -> GetResult {
        let kv = |key: &&str| KeyValue {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: vec![0; value_len].into(),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        };
        let header =
            Header { cluster_id: ClusterId(1), member_id: MemberId(1), revision: Revision(7), raft_term: 1 };
        let kvs: Vec<_> = keys.iter().map(kv).collect();
        GetResult { header, more: count > kvs.len() as u64, kvs, count }
    }

    /// A pager that has asked for its first page.
    fn pager() -> Pager {
        let mut pager = Pager::new(&KeyRange::all(), None, 1000);
        pager.request(false).unwrap();
        pager
    }

    /// The keys of a first page of 32, and the answer with them.
    fn first_page(value_len: usize, count: u64) -> GetResult {
        let keys: Vec<_> = (0..32).map(|number| format!("k{number:03}")).collect();
        answer(&keys.iter().map(String::as_str).collect::<Vec<_>>(), value_len, count)
    }

    /// What a pager asks for after such a page.
    fn second(pager: &mut Pager, value_len: usize, count: u64) -> Request {
        pager.received(0, first_page(value_len, count)).unwrap();
        pager.request(false).unwrap()
    }

    #[test]
    fn the_first_answer_fixes_the_revision() {
        let mut pager = pager();
        pager.received(0, first_page(1, 100)).unwrap();
        assert_eq!(pager.revision(), Some(Revision(7)));
    }

    #[test]
    fn the_next_page_begins_right_behind_the_last_key() {
        let request = second(&mut pager(), 1, 33);
        assert_eq!((request.range, request.limit), (KeyRange::from_key("k031\0"), 1));
    }

    #[test]
    fn the_last_page_ends_the_scan_even_when_empty() {
        for last in [answer(&["a"], 1, 1), answer(&[], 1, 0)] {
            let mut pager = pager();
            pager.received(0, last.clone()).unwrap();
            assert!(pager.request(true).is_none() && !pager.is_over());
            assert_eq!(pager.pop().unwrap().kvs, last.kvs);
            assert!(pager.is_over());
        }
    }

    #[test]
    fn an_empty_page_that_promises_more_is_no_endless_loop() {
        assert_eq!(pager().received(0, answer(&[], 1, 1)).unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused() {
        for count in [67, 69, 1 << 40] {
            let mut pager = pager();
            let request = second(&mut pager, 1, 100);
            let keys: Vec<_> = (0..64).map(|number| format!("l{number:03}")).collect();
            let page = answer(&keys.iter().map(String::as_str).collect::<Vec<_>>(), 1, count);
            assert_eq!(pager.received(request.id, page).unwrap_err().kind(), ErrorKind::Protocol, "{count}");
        }
    }

    #[test]
    fn pages_of_another_cluster_are_refused() {
        let mut pager = pager();
        let request = second(&mut pager, 1, 100);
        let mut foreign = answer(&["z"], 1, 1);
        foreign.header.cluster_id = ClusterId(2);
        assert_eq!(pager.received(request.id, foreign).unwrap_err().kind(), ErrorKind::Config);
    }
}
