//! What a scan asks for next, as requests. Pure: answers in, requests out.

use bytes::Bytes;

use super::plan::{Ask, PageSize, Plan};
use crate::client::{Get, GetResult, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, Header, KeyRange, KeyValue, Revision};

/// How many keys the first page asks for: few enough that even the largest values (1.5 MiB by
/// default) make an answer of bounded size.
const FIRST_LIMIT: u64 = 32;
/// How much larger than the ones before a page may be: values further on may be larger than those seen.
const MAX_GROWTH: u64 = 4;
const MAX_LIMIT: u64 = 1 << 16;
/// How much more than wished a page may hold, where that saves work.
const STRETCH: u64 = 2;

/// A position in a scan.
#[derive(Clone, Debug)]
pub(super) struct Pager {
    range: KeyRange,
    revision: Option<Revision>,
    cluster: Option<ClusterId>,
    page: PageSize,
    page_bytes: usize,
    /// The limit of the request that is not answered yet.
    limit: u64,
    /// Made of the first answer.
    plan: Option<Plan>,
}

/// The keys of one answer.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) header: Header,
    /// How many keys were unread before, these included.
    pub(super) left: u64,
    pub(super) kvs: Vec<KeyValue>,
}

impl Pager {
    pub(super) fn new(range: KeyRange, revision: Option<Revision>, page_bytes: usize) -> Self {
        let page = PageSize { keys: FIRST_LIMIT, most: FIRST_LIMIT };
        Self { range, revision, cluster: None, page, page_bytes, limit: FIRST_LIMIT, plan: None }
    }

    /// The next request; `None` once all is read.
    pub(super) fn request(&mut self) -> Option<Get> {
        let (range, limit) = self.ask()?;
        let get = Get::new(range).limit(limit);
        Some(match self.revision {
            Some(revision) => get.at(revision),
            None => get,
        })
    }

    /// The range to ask for next, and how many keys of it.
    pub(super) fn ask(&mut self) -> Option<(KeyRange, u32)> {
        let range = match &mut self.plan {
            None => self.range.clone(),
            Some(plan) => {
                let ask = plan.ask(self.page)?;
                self.limit = ask.limit;
                ask.into_range()
            }
        };
        Some((range, self.limit.try_into().unwrap_or(u32::MAX)))
    }

    /// Takes the answer to the request.
    pub(super) fn received(&mut self, answer: GetResult) -> Result<Page> {
        self.check(&answer)?;
        let GetResult { header, kvs, count, .. } = answer;
        self.revision.get_or_insert(header.revision);
        let plan = self.plan.get_or_insert_with(|| whole(&self.range, count));
        let left = plan.left();
        let keys: Vec<&Bytes> = kvs.iter().map(|kv| &kv.key).collect();
        plan.answered(&keys, count, self.page);
        self.page = self.next_page(&kvs);
        Ok(Page { header, left, kvs })
    }

    /// Keys must not go missing because a server, or a proxy before it, counts wrong, or because another
    /// cluster answers, whatever endpoints the client was given.
    fn check(&mut self, answer: &GetResult) -> Result<()> {
        self.check_cluster(answer.header.cluster_id)?;
        let taken = answer.kvs.len() as u64;
        if taken != answer.count.min(self.limit) || answer.more != (taken < answer.count) {
            return Err(malformed("a page's keys are not as many as it says"));
        }
        let Some(plan) = &self.plan else { return Ok(()) };
        if answer.count > plan.left() || plan.expected().is_some_and(|expected| expected != answer.count) {
            return Err(malformed("pages at one revision do not agree on how many keys there are"));
        }
        Ok(())
    }

    fn check_cluster(&mut self, answered: ClusterId) -> Result<()> {
        let expected = *self.cluster.get_or_insert(answered);
        if expected == answered {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Config,
            format!(
                "the endpoints belong to different clusters, {expected} and {answered}; give those of one"
            ),
        ))
    }

    /// As many keys as make a page of the wished size, going by these.
    fn next_page(&self, kvs: &[KeyValue]) -> PageSize {
        let bytes: usize = kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
        let most = self.page.keys.max(MAX_GROWTH * kvs.len() as u64).min(MAX_LIMIT);
        let fitting = (self.page_bytes.saturating_mul(kvs.len())).checked_div(bytes);
        let keys = fitting.map_or(most, |fitting| (fitting as u64).clamp(1, most));
        PageSize { keys, most: keys * STRETCH }
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

fn whole(range: &KeyRange, count: u64) -> Plan {
    let (start, end) = range.to_wire();
    Plan::new(start.to_vec(), (end[..] != *NO_END).then(|| end.to_vec()), count)
}

/// etcd's spelling of the end of all keys.
const NO_END: &[u8] = b"\0";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
        let mut pager = Pager::new(KeyRange::all(), None, 1000);
        pager.request().unwrap();
        pager
    }

    /// The keys of a first page of 32, and the answer with them.
    fn first_page(value_len: usize, count: u64) -> GetResult {
        let keys: Vec<_> = (0..32).map(|number| format!("k{number:03}")).collect();
        answer(&keys.iter().map(String::as_str).collect::<Vec<_>>(), value_len, count)
    }

    fn wire(get: &Get) -> String {
        format!("{get:?}")
    }

    #[test]
    fn the_first_answer_fixes_the_revision() {
        let mut pager = pager();
        pager.received(first_page(1, 100)).unwrap();
        assert_eq!(pager.revision, Some(Revision(7)));
        assert!(wire(&pager.request().unwrap()).contains("Some(Revision(7))"));
    }

    #[test]
    fn the_next_page_begins_right_behind_the_last_key() {
        let mut pager = pager();
        pager.received(first_page(1, 33)).unwrap();
        let expected = Get::new(KeyRange::from_key("k031\0")).limit(1).at(Revision(7));
        assert_eq!(wire(&pager.request().unwrap()), wire(&expected));
    }

    #[test]
    fn a_page_aims_at_bytes_and_grows_slowly() {
        for (value_len, keys) in [(0, 128), (16, 50), (496, 2), (5000, 1)] {
            let mut pager = pager();
            pager.received(first_page(value_len, 1000)).unwrap();
            assert_eq!(pager.page, PageSize { keys, most: 2 * keys }, "values of {value_len} bytes");
        }
    }

    #[test]
    fn a_page_of_few_keys_is_no_reason_to_ask_for_many() {
        let mut pager = pager();
        pager.received(first_page(100, 1000)).unwrap();
        assert_eq!(pager.page.keys, 9);
        assert_eq!(pager.next_page(&answer(&["k"], 1, 1).kvs).keys, 9);
        assert_eq!(pager.next_page(&[]).keys, 9);
    }

    #[test]
    fn the_last_page_ends_the_scan_even_when_empty() {
        for last in [answer(&["a"], 1, 1), answer(&[], 1, 0)] {
            let mut pager = pager();
            pager.received(last).unwrap();
            assert!(pager.request().is_none());
        }
    }

    #[test]
    fn an_empty_page_that_promises_more_is_no_endless_loop() {
        assert_eq!(pager().received(answer(&[], 1, 1)).unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused() {
        for count in [67, 69, 1 << 40] {
            let mut pager = pager();
            pager.received(first_page(1, 100)).unwrap();
            pager.request().unwrap();
            let keys: Vec<_> = (0..64).map(|number| format!("l{number:03}")).collect();
            let page = answer(&keys.iter().map(String::as_str).collect::<Vec<_>>(), 1, count);
            assert_eq!(pager.received(page).unwrap_err().kind(), ErrorKind::Protocol, "{count}");
        }
    }

    #[test]
    fn pages_of_another_cluster_are_refused() {
        let mut pager = pager();
        pager.received(first_page(1, 100)).unwrap();
        pager.request().unwrap();
        let mut foreign = answer(&["z"], 1, 1);
        foreign.header.cluster_id = ClusterId(2);
        assert_eq!(pager.received(foreign).unwrap_err().kind(), ErrorKind::Config);
    }
}
