//! How many keys a page asks for, so that it has the bytes that are wished for. Pure.

use super::plan::PageSize;
use crate::types::KeyValue;

/// How many keys the first page asks for: few enough that even the largest values (1.5 MiB by
/// default) make an answer of bounded size.
const FIRST_LIMIT: u64 = 32;
/// How much larger than the ones before a page may be: values further on may be larger than those seen.
const MAX_GROWTH: u64 = 4;
const MAX_LIMIT: u64 = 1 << 16;
/// How much more than wished a page may hold, where that saves work.
const STRETCH: u64 = 2;

/// What pages aim at, and what is known of how large keys and values are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizing {
    page: PageSize,
    page_bytes: usize,
    /// How many bytes a key and its value have, going by those that came last.
    key_bytes: u64,
}

impl Sizing {
    pub(super) fn new(page_bytes: usize) -> Self {
        let page = PageSize { keys: FIRST_LIMIT, most: FIRST_LIMIT };
        Self { page, page_bytes, key_bytes: page_bytes as u64 / FIRST_LIMIT }
    }

    pub(super) fn page(&self) -> PageSize {
        self.page
    }

    /// As many keys as are expected to have so many bytes.
    pub(super) fn page_of(&self, bytes: usize) -> PageSize {
        let most = (bytes as u64 / self.key_bytes.max(1)).max(1);
        PageSize { keys: most, most }
    }

    /// How many bytes so many keys are expected to have.
    pub(super) fn bytes_of(&self, keys: u64) -> u64 {
        keys.saturating_mul(self.key_bytes)
    }

    pub(super) fn see(&mut self, kvs: &[KeyValue]) {
        if let Some(each) = bytes_of(kvs).checked_div(kvs.len()) {
            self.key_bytes = each as u64;
        }
    }

    /// As many keys as make a page of the wished size, going by these.
    pub(super) fn after(&self, kvs: &[KeyValue]) -> Self {
        let bytes = bytes_of(kvs);
        let most = self.page.keys.max(MAX_GROWTH * kvs.len() as u64).min(MAX_LIMIT);
        let fitting = (self.page_bytes.saturating_mul(kvs.len())).checked_div(bytes);
        let keys = fitting.map_or(most, |fitting| (fitting as u64).clamp(1, most));
        Self { page: PageSize { keys, most: keys * STRETCH }, ..*self }
    }
}

/// How many bytes the keys and values have.
pub(super) fn bytes_of(kvs: &[KeyValue]) -> usize {
    kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::Revision;

    fn keys(count: usize, value_len: usize) -> Vec<KeyValue> {
        let kv = |number: usize| KeyValue {
            key: format!("k{number:03}").into(),
            value: Bytes::from(vec![0; value_len]),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        };
        (0..count).map(kv).collect()
    }

    #[test]
    fn a_page_aims_at_bytes_and_grows_slowly() {
        for (value_len, wished) in [(0, 128), (16, 50), (496, 2), (5000, 1)] {
            let next = Sizing::new(1000).after(&keys(32, value_len));
            let expected = PageSize { keys: wished, most: 2 * wished };
            assert_eq!(next.page(), expected, "values of {value_len} bytes");
        }
    }

    #[test]
    fn a_page_of_few_keys_is_no_reason_to_ask_for_many() {
        let sizing = Sizing::new(1000).after(&keys(32, 100));
        assert_eq!(sizing.page().keys, 9);
        assert_eq!(sizing.after(&keys(1, 1)).page().keys, 9);
        assert_eq!(sizing.after(&[]).page().keys, 9);
    }
}
