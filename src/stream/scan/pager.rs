//! What a scan asks for next. Pure: answers in, requests out.

use crate::client::{Get, GetResult, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, KeyRange, KeyValue, Revision};

/// How many keys the first page asks for: few enough that even the largest values (1.5 MiB by
/// default) make an answer of bounded size.
const FIRST_LIMIT: u32 = 32;
/// How much larger than the last a page may be: values further on may be larger than those seen.
const MAX_GROWTH: u32 = 4;
const MAX_LIMIT: u32 = 1 << 16;

/// A position in a scan.
#[derive(Clone, Debug)]
pub(super) struct Pager {
    remaining: KeyRange,
    revision: Option<Revision>,
    cluster: Option<ClusterId>,
    limit: u32,
    page_bytes: usize,
}

impl Pager {
    pub(super) fn new(range: KeyRange, revision: Option<Revision>, page_bytes: usize) -> Self {
        Self { remaining: range, revision, cluster: None, limit: FIRST_LIMIT, page_bytes }
    }

    pub(super) fn request(&self) -> Get {
        let get = Get::new(self.remaining.clone()).limit(self.limit);
        match self.revision {
            Some(revision) => get.at(revision),
            None => get,
        }
    }

    /// Takes the answer to the request: its keys, and the position behind them if there is more.
    pub(super) fn received(mut self, answer: GetResult) -> Result<(Vec<KeyValue>, Option<Self>)> {
        self.check_cluster(answer.header.cluster_id)?;
        let Some(last) = answer.kvs.last().filter(|_| answer.more) else {
            return if answer.more {
                Err(malformed("a page without keys says that there is more"))
            } else {
                Ok((answer.kvs, None))
            };
        };
        self.remaining = self.remaining.after(&last.key);
        self.revision.get_or_insert(answer.header.revision);
        self.limit = self.next_limit(&answer.kvs);
        Ok((answer.kvs, Some(self)))
    }

    /// Pages of different clusters must not be mixed, whatever endpoints the client was given.
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

    /// As many keys as make a page of the wished size, going by the last one.
    fn next_limit(&self, kvs: &[KeyValue]) -> u32 {
        let bytes: usize = kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
        let fitting = self.page_bytes.saturating_mul(kvs.len()) / bytes.max(1);
        let most = self.limit.saturating_mul(MAX_GROWTH).min(MAX_LIMIT);
        u32::try_from(fitting).unwrap_or(most).clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::{Header, MemberId};

    fn answer(keys: &[&str], value_len: usize, more: bool) -> GetResult {
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
        GetResult { header, kvs: keys.iter().map(kv).collect(), more, count: 0 }
    }

    fn pager() -> Pager {
        Pager::new(KeyRange::all(), None, 1000)
    }

    #[test]
    fn the_first_answer_fixes_the_revision() {
        let (_, rest) = pager().received(answer(&["a"], 1, true)).unwrap();
        assert_eq!(rest.unwrap().revision, Some(Revision(7)));
    }

    #[test]
    fn the_next_page_begins_right_behind_the_last_key() {
        let (_, rest) = pager().received(answer(&["a", "b"], 1, true)).unwrap();
        assert_eq!(rest.unwrap().remaining, KeyRange::from_key("b\0"));
    }

    #[test]
    fn a_page_aims_at_bytes_and_grows_slowly() {
        let (_, small) = pager().received(answer(&["a"], 1, true)).unwrap();
        assert_eq!(small.unwrap().limit, FIRST_LIMIT * MAX_GROWTH);
        let (_, large) = pager().received(answer(&["a"], 499, true)).unwrap();
        assert_eq!(large.unwrap().limit, 2);
        let (_, huge) = pager().received(answer(&["a"], 5000, true)).unwrap();
        assert_eq!(huge.unwrap().limit, 1);
    }

    #[test]
    fn the_last_page_ends_the_scan_even_when_empty() {
        assert!(pager().received(answer(&["a"], 1, false)).unwrap().1.is_none());
        assert!(pager().received(answer(&[], 1, false)).unwrap().1.is_none());
    }

    #[test]
    fn an_empty_page_that_promises_more_is_no_endless_loop() {
        assert_eq!(pager().received(answer(&[], 1, true)).unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn pages_of_another_cluster_are_refused() {
        let (_, rest) = pager().received(answer(&["a"], 1, true)).unwrap();
        let mut foreign = answer(&["b"], 1, false);
        foreign.header.cluster_id = ClusterId(2);
        assert_eq!(rest.unwrap().received(foreign).unwrap_err().kind(), ErrorKind::Config);
    }
}
