//! Whether an answer can be right. Pure.

use super::plan::Contradiction;
use crate::client::{GetResult, malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ClusterId, Header};

/// Keys must not go missing because a server, or a proxy before it, counts wrong. `pinned` is the answer that fixed the
/// revision, if this is another.
pub(super) fn check_page(pinned: Option<Header>, answer: &GetResult, limit: u64) -> Result<()> {
    let cluster = answer.header.cluster_id;
    same_cluster(pinned.map_or(cluster, |pinned| pinned.cluster_id), cluster)?;
    let taken = answer.kvs.len() as u64;
    if taken != answer.count.min(limit) || answer.more != (taken < answer.count) {
        return Err(malformed("a page's keys are not as many as it says"));
    }
    Ok(())
}

pub(super) fn contradiction(_: Contradiction) -> Error {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::{KeyValue, MemberId, Revision};

    fn header(cluster: u64) -> Header {
        Header { cluster_id: ClusterId(cluster), member_id: MemberId(1), revision: Revision(7), raft_term: 1 }
    }

    fn answer(keys: u64, count: u64, more: bool) -> GetResult {
        let kv = KeyValue {
            key: Bytes::from_static(b"k"),
            value: Bytes::new(),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        };
        let kvs = (0..keys).map(|_| kv.clone()).collect();
        GetResult { header: header(1), kvs, count, more }
    }

    #[test]
    fn a_page_is_full_or_the_last_and_says_which() {
        for (keys, count, more) in [(3, 9, true), (3, 3, false), (2, 2, false), (0, 0, false)] {
            check_page(None, &answer(keys, count, more), 3).unwrap();
        }
        for (keys, count, more) in [(2, 9, true), (4, 9, true), (3, 9, false), (2, 2, true), (0, 1, true)] {
            let refused = check_page(None, &answer(keys, count, more), 3).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Protocol, "{keys} of {count}, more: {more}");
        }
    }

    #[test]
    fn a_page_of_another_cluster_is_refused() {
        check_page(Some(header(1)), &answer(1, 1, false), 3).unwrap();
        let refused = check_page(Some(header(2)), &answer(1, 1, false), 3).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
    }
}
