use std::fmt;

use bytes::Bytes;

use super::{KeyRange, KeyValue};
use crate::error::{Error, ErrorKind, Result};
use crate::util::Escaped;

/// The part of the keyspace that a client sees: keys with a prefix, which the client does not see.
///
/// A key that is the prefix and nothing more is outside: it has no name within.
#[derive(Clone, Default, PartialEq, Eq)]
#[allow(unreachable_pub, reason = "named by methods of a public trait")]
pub struct Namespace {
    prefix: Bytes,
}

impl Namespace {
    /// The namespace within this one whose keys have this prefix, too.
    pub(crate) fn inner(&self, prefix: &[u8]) -> Self {
        Self { prefix: [&self.prefix, prefix].concat().into() }
    }

    /// What the servers call a key.
    pub(crate) fn key(&self, key: &Bytes) -> Bytes {
        if self.prefix.is_empty() { key.clone() } else { [&self.prefix[..], key].concat().into() }
    }

    /// What the servers call a range; one without an end ends with the namespace.
    pub(crate) fn range(&self, range: &KeyRange) -> KeyRange {
        if self.prefix.is_empty() { range.clone() } else { range.under(&self.prefix) }
    }

    /// A key by its name within, if it is within; a slice of what was given.
    pub(crate) fn find(&self, key: &Bytes) -> Option<Bytes> {
        let within = self.prefix.is_empty() || key.len() > self.prefix.len() && key.starts_with(&self.prefix);
        within.then(|| key.slice(self.prefix.len()..))
    }

    /// As [`Namespace::find`], of an answer to a request that asked for nothing outside.
    pub(crate) fn strip(&self, key: &Bytes) -> Result<Bytes> {
        self.find(key).ok_or_else(|| {
            let message = format!("the answer holds key {}, which is not in {self:?}", Escaped(key));
            Error::new(ErrorKind::Protocol, message)
        })
    }

    /// As [`Namespace::strip`], with what the key holds.
    pub(crate) fn strip_kv(&self, kv: impl Into<KeyValue>) -> Result<KeyValue> {
        let kv = kv.into();
        Ok(KeyValue { key: self.strip(&kv.key)?, ..kv })
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", Escaped(&self.prefix))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Few bytes, so that keys, bounds and prefixes meet; the ends of the byte's range are among them.
    fn text(shortest: usize) -> impl Strategy<Value = Bytes> {
        vec(prop::sample::select(vec![0, 1, b'a', 0xfe, 0xff]), shortest..4).prop_map(Bytes::from)
    }

    fn ranges() -> impl Strategy<Value = KeyRange> {
        (0..5_u8, text(1), text(0)).prop_map(|(kind, one, other)| match kind {
            0 => KeyRange::key(one),
            1 => KeyRange::prefix(one),
            2 => KeyRange::from_key(one),
            3 => KeyRange::between(one, other),
            _ => KeyRange::between(other, one),
        })
    }

    fn of(prefix: &[u8]) -> Namespace {
        Namespace::default().inner(prefix)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_range_holds_the_same_keys_within_as_without(prefix in text(0), range in ranges(), key in text(1)) {
            let namespace = of(&prefix);
            let wire = namespace.range(&range);
            prop_assert_eq!(wire.contains(&namespace.key(&key)), range.contains(&key));
        }

        #[test]
        fn no_range_reaches_out(prefix in text(0), range in ranges(), foreign in text(1)) {
            let namespace = of(&prefix);
            if namespace.range(&range).contains(&foreign) {
                let inside = namespace.strip(&foreign);
                prop_assert!(inside.is_ok_and(|key| range.contains(&key)));
            }
        }

        #[test]
        fn what_is_no_range_stays_none(prefix in text(0), range in ranges()) {
            prop_assert_eq!(of(&prefix).range(&range).is_empty(), range.is_empty());
        }

        #[test]
        fn nested_is_one_after_the_other(outer in text(0), inner in text(0), key in text(1), range in ranges()) {
            let nested = of(&outer).inner(&inner);
            prop_assert_eq!(nested.key(&key), of(&outer).key(&of(&inner).key(&key)));
            prop_assert_eq!(&nested, &of(&[&outer[..], &inner].concat()));
            prop_assert_eq!(nested.range(&range), of(&outer).range(&of(&inner).range(&range)));
        }

        #[test]
        fn stripping_undoes_and_copies_nothing(prefix in text(0), key in text(1)) {
            let wire = of(&prefix).key(&key);
            let stripped = of(&prefix).strip(&wire).unwrap();
            prop_assert_eq!(&stripped, &key);
            prop_assert_eq!(stripped.as_ptr(), wire[prefix.len()..].as_ptr());
        }
    }

    /// Once found by the properties above.
    #[test]
    fn everything_ends_with_the_namespace() {
        assert!(!of(b"\0").range(&KeyRange::all()).contains(b"\x01"));
    }

    #[test]
    fn keys_from_outside_are_an_error() {
        for foreign in ["b/k", "a", "a/"] {
            let error = of(b"a/").strip(&Bytes::from(foreign)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{foreign}");
        }
    }
}
