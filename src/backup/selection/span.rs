//! Stretches of the keyspace, and their algebra. Pure.

use bytes::Bytes;

use crate::types::KeyRange;

/// Keys from `start` on and below `end`; no end is the end of the keyspace.
///
/// Unlike a [`KeyRange`] it has one form only, so that pieces can be cut out of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::backup) struct Span {
    pub(super) start: Bytes,
    pub(super) end: Option<Bytes>,
}

/// The smallest key; etcd's spelling of no bound as well.
const LEAST: &[u8] = b"\0";

impl Span {
    /// What every key with this prefix lies in.
    pub(super) fn prefix(prefix: &Bytes) -> Self {
        Self::from(&KeyRange::prefix(prefix.clone()))
    }

    pub(in crate::backup) fn to_range(&self) -> KeyRange {
        match &self.end {
            None => KeyRange::from_key(self.start.clone()),
            Some(end) if is_successor(end, &self.start) => KeyRange::key(self.start.clone()),
            Some(end) => KeyRange::between(self.start.clone(), end.clone()),
        }
    }

    pub(in crate::backup) fn holds(&self, key: &[u8]) -> bool {
        self.start[..] <= *key && self.end.as_ref().is_none_or(|end| *key < end[..])
    }

    /// The keys that lie in both.
    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        let start = self.start.clone().max(other.start.clone());
        let end = match (&self.end, &other.end) {
            (Some(one), Some(two)) => Some(one.min(two).clone()),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        Self { start, end }.non_empty()
    }

    /// What is left without the other's keys: nothing, one piece, or one on either side.
    fn without(&self, other: &Self) -> impl Iterator<Item = Self> + use<> {
        let before = Self { start: LEAST_KEY, end: Some(other.start.clone()) };
        let behind = other.end.clone().map(|start| Self { start, end: None });
        let before = self.intersection(&before);
        before.into_iter().chain(behind.and_then(|behind| self.intersection(&behind)))
    }

    fn non_empty(self) -> Option<Self> {
        self.end.as_ref().is_none_or(|end| *end > self.start).then_some(self)
    }

    /// Whether the other, which begins no earlier, begins before this one ends or right there.
    fn reaches(&self, other: &Self) -> bool {
        self.end.as_ref().is_none_or(|end| other.start <= *end)
    }
}

const LEAST_KEY: Bytes = Bytes::from_static(LEAST);

impl From<&KeyRange> for Span {
    fn from(range: &KeyRange) -> Self {
        let (start, end) = range.to_wire();
        let end = match &end[..] {
            b"" => Some([&start, LEAST].concat().into()),
            LEAST => None,
            _ => Some(end),
        };
        Self { start, end }
    }
}

fn is_successor(end: &[u8], key: &[u8]) -> bool {
    end.strip_prefix(key) == Some(LEAST)
}

/// The same keys in as few spans as possible, ascending.
pub(in crate::backup) fn union(ranges: &[KeyRange]) -> Vec<Span> {
    let spans = ranges.iter().filter(|range| !range.is_empty());
    let mut spans: Vec<_> = spans.map(Span::from).filter_map(Span::non_empty).collect();
    spans.sort();
    let mut union: Vec<Span> = Vec::new();
    for span in spans {
        match union.last_mut().filter(|last| last.reaches(&span)) {
            Some(last) => last.end = later(last.end.take(), span.end),
            None => union.push(span),
        }
    }
    union
}

/// All keys from the first range's first to the last one's last; `None` if the ranges hold none.
pub(in crate::backup) fn hull(ranges: &[KeyRange]) -> Option<KeyRange> {
    let spans = union(ranges);
    let (first, last) = (spans.first()?, spans.last()?);
    Some(Span { start: first.start.clone(), end: last.end.clone() }.to_range())
}

fn later(one: Option<Bytes>, two: Option<Bytes>) -> Option<Bytes> {
    one.zip(two).map(|(one, two)| one.max(two))
}

/// What of these spans lies in the one.
pub(super) fn within(spans: &[Span], one: &Span) -> Vec<Span> {
    spans.iter().filter_map(|span| span.intersection(one)).collect()
}

/// What is left of these spans without the others' keys.
pub(in crate::backup) fn without(spans: Vec<Span>, others: &[Span]) -> Vec<Span> {
    others.iter().fold(spans, |left, other| left.iter().flat_map(|span| span.without(other)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range() -> impl Strategy<Value = KeyRange> {
        let key = || "[ab]{1,3}".prop_map(Bytes::from);
        prop_oneof![
            key().prop_map(KeyRange::key),
            "[ab]{0,2}".prop_map(KeyRange::prefix),
            key().prop_map(KeyRange::from_key),
            (key(), key()).prop_map(|(start, end)| KeyRange::between(start, end)),
        ]
    }

    fn holds(spans: &[Span], key: &[u8]) -> bool {
        spans.iter().any(|span| span.to_range().contains(key))
    }

    proptest! {
        #[test]
        fn spans_hold_what_the_ranges_say(
            taken in prop::collection::vec(range(), 0..4),
            left_out in prop::collection::vec(range(), 0..4),
            bound in range(),
            keys in prop::collection::vec("[abc]{1,4}", 20),
        ) {
            let spans = without(union(&taken), &union(&left_out));
            prop_assert!(spans.is_sorted() && spans.windows(2).all(|two| two[0].end <= Some(two[1].start.clone())));
            let bounded: Vec<_> = union(std::slice::from_ref(&bound)).iter().flat_map(|one| within(&spans, one)).collect();
            for key in keys {
                let key = key.as_bytes();
                let any = |ranges: &[KeyRange]| ranges.iter().any(|range| range.contains(key));
                let wanted = any(&taken) && !any(&left_out);
                prop_assert_eq!(holds(&spans, key), wanted);
                prop_assert_eq!(holds(&bounded, key), wanted && bound.contains(key));
            }
        }
    }

    #[test]
    fn neighbours_become_one() {
        let both = union(&[KeyRange::between("b", "c"), KeyRange::between("a", "b")]);
        assert_eq!(both, union(&[KeyRange::between("a", "c")]));
        assert_eq!(union(&[KeyRange::prefix("a"), KeyRange::all()]), union(&[KeyRange::all()]));
    }

    #[test]
    fn one_key_stays_one_key() {
        assert_eq!(union(&[KeyRange::key("a")])[0].to_range(), KeyRange::key("a"));
    }
}
