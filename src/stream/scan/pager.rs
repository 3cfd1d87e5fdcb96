//! What a scan asks for next, as requests. Pure: answers in, requests out.

use std::collections::VecDeque;

use super::plan::{Ask, Contradiction, Keys, Plan, Wish};
use super::sizing::{Sizing, bytes_of};
use crate::client::{GetResult, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, Header, KeyRange, KeyValue, Revision};

/// A position in a scan.
#[derive(Clone, Debug)]
pub(super) struct Pager {
    revision: Option<Revision>,
    pinned: Option<Header>,
    sizing: Sizing,
    plan: Plan,
    /// Requests under way.
    asked: Vec<Asked>,
    /// Keys in order, to be handed out.
    ready: VecDeque<Page>,
    /// How many bytes of keys and values were read and not handed out.
    held: usize,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: u64,
    limit: u64,
    bytes: usize,
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
        let (sizing, plan) = (Sizing::new(page_bytes), whole(range));
        let (asked, ready) = (Vec::new(), VecDeque::new());
        Self { revision, pinned: None, sizing, plan, asked, ready, held: 0 }
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
        let Ask { id, limit, .. } = ask;
        self.asked.push(Asked { id, limit, bytes });
        Request { id, range: ask.into_range(), limit, bytes }
    }

    /// The revision that all is read at; `None` before the first answer if nobody has named one.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// The answer that fixed the revision.
    pub(super) fn pinned(&self) -> Option<Header> {
        self.pinned
    }

    /// How many requests are under way.
    pub(super) fn under_way(&self) -> usize {
        self.asked.len()
    }

    /// How many bytes were read and not handed out.
    pub(super) fn held_bytes(&self) -> usize {
        self.held
    }

    /// The request among these whose keys come first.
    pub(super) fn first_of(&self, ids: impl Iterator<Item = u64>) -> Option<u64> {
        ids.min_by_key(|&id| self.plan.place(id))
    }

    /// Whether the keys that come next are those of this request.
    pub(super) fn comes_next(&self, id: u64) -> bool {
        self.ready.is_empty() && self.plan.place(id) == Some(0)
    }

    /// How many bytes were read and not handed out, or are expected.
    pub(super) fn in_flight_bytes(&self) -> usize {
        let expected = self.asked.iter().map(|asked| asked.bytes);
        expected.fold(self.held, usize::saturating_add)
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
        let asked = self.end(id);
        self.check(&answer, asked)?;
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
        self.end(id);
        self.plan.finished(id).map_err(contradiction)?;
        self.hand_out();
        Ok(())
    }

    /// Lets what is missing of an answer be asked for anew.
    pub(super) fn give_back(&mut self, id: u64) {
        self.end(id);
        self.plan.give_back(id);
    }

    /// The next keys in order.
    pub(super) fn pop(&mut self) -> Option<Page> {
        let page = self.ready.pop_front()?;
        self.held = self.held.saturating_sub(bytes_of(&page.kvs));
        Some(page)
    }

    /// Whether all was handed out.
    pub(super) fn is_over(&self) -> bool {
        self.ready.is_empty() && self.plan.is_over()
    }

    fn hold(&mut self, kvs: &[KeyValue]) {
        self.held += bytes_of(kvs);
        self.sizing.see(kvs);
    }

    fn end(&mut self, id: u64) -> Option<Asked> {
        let at = self.asked.iter().position(|asked| asked.id == id)?;
        Some(self.asked.swap_remove(at))
    }

    fn hand_out(&mut self) {
        while let Some((left, Keys { header, kvs })) = self.plan.hand_out(self.sizing.page()) {
            self.ready.push_back(Page { header, left, kvs });
        }
    }

    /// Keys must not go missing because a server, or a proxy before it, counts wrong.
    fn check(&self, answer: &GetResult, asked: Option<Asked>) -> Result<()> {
        let cluster = answer.header.cluster_id;
        same_cluster(self.pinned.map_or(cluster, |pinned| pinned.cluster_id), cluster)?;
        let (taken, limit) = (answer.kvs.len() as u64, asked.map_or(0, |asked| asked.limit));
        if taken != answer.count.min(limit) || answer.more != (taken < answer.count) {
            return Err(malformed("a page's keys are not as many as it says"));
        }
        Ok(())
    }
}

impl Ask {
    fn into_range(self) -> KeyRange {
        match self.end {
            Some(end) => KeyRange::between(self.start, end),
            None => KeyRange::from_key(self.start),
        }
    }
}

fn whole(range: &KeyRange) -> Plan {
    let (start, end) = range.to_wire();
    let end = match &end[..] {
        b"" => Some([&start[..], b"\0"].concat()),
        NO_END => None,
        end => Some(end.to_vec()),
    };
    Plan::new(start.to_vec(), end)
}

fn contradiction(_: Contradiction) -> Error {
    malformed("pages at one revision do not agree on how many keys there are")
}

/// Nor may keys be another cluster's, whatever endpoints the client was given.
pub(super) fn same_cluster(expected: ClusterId, answered: ClusterId) -> Result<()> {
    if expected == answered {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("the endpoints belong to different clusters, {expected} and {answered}; give those of one"),
    ))
}

/// etcd's spelling of the end of all keys.
const NO_END: &[u8] = b"\0";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::plan::PageSize;
    use super::*;
    use crate::types::{Header, MemberId};

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
    fn a_page_aims_at_bytes_and_grows_slowly() {
        for (value_len, keys) in [(0, 128), (16, 50), (496, 2), (5000, 1)] {
            let mut pager = pager();
            pager.received(0, first_page(value_len, 1000)).unwrap();
            let expected = PageSize { keys, most: 2 * keys };
            assert_eq!(pager.sizing.page(), expected, "values of {value_len} bytes");
        }
    }

    #[test]
    fn a_page_of_few_keys_is_no_reason_to_ask_for_many() {
        let mut pager = pager();
        pager.received(0, first_page(100, 1000)).unwrap();
        assert_eq!(pager.sizing.page().keys, 9);
        assert_eq!(pager.sizing.after(&answer(&["k"], 1, 1).kvs).page().keys, 9);
        assert_eq!(pager.sizing.after(&[]).page().keys, 9);
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
