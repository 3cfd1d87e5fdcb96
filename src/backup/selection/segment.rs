//! Where the keys of one span are restored to. Pure.

use bytes::Bytes;

use super::Filter;
use super::span::Span;
use crate::types::{KeyRange, KeyValue};

/// Keys that begin with `from` are restored as if they began with `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    pub(super) from: Bytes,
    pub(super) to: Bytes,
}

impl Rename {
    /// Where the span's keys go; all of them begin with `from`.
    pub(super) fn apply(&self, span: &Span) -> Span {
        let own = Span::prefix(&self.from);
        let target = Span::prefix(&self.to);
        let start =
            if span.start <= own.start { target.start } else { swap(&span.start, &self.from, &self.to) };
        let end = if span.end == own.end {
            target.end
        } else {
            span.end.as_ref().map(|end| swap(end, &self.from, &self.to))
        };
        Span { start, end }
    }
}

fn swap(key: &Bytes, from: &[u8], to: &[u8]) -> Bytes {
    [to, key.strip_prefix(from).unwrap_or(key)].concat().into()
}

/// Selected keys that lie together in the archive, and in the target.
#[derive(Clone, Debug)]
pub(in crate::backup) struct Segment {
    pub(in crate::backup) source: KeyRange,
    pub(in crate::backup) target: KeyRange,
    rename: Option<Rename>,
    filter: Option<Filter>,
}

impl Segment {
    pub(super) fn new(source: &Span, target: &Span, rename: Option<Rename>, filter: Option<Filter>) -> Self {
        Self { source: source.to_range(), target: target.to_range(), rename, filter }
    }

    /// Whether every key in it is selected, under its own name: then whole blocks can be compared.
    pub(in crate::backup) fn is_plain(&self) -> bool {
        self.rename.is_none() && self.filter.is_none()
    }

    /// A record of the archive as it is to be in the target; `None` if it is not selected.
    pub(in crate::backup) fn restored(&self, kv: KeyValue) -> Option<KeyValue> {
        if !self.source.contains(&kv.key) || !self.takes(&kv.key) {
            return None;
        }
        Some(match &self.rename {
            Some(Rename { from, to }) => KeyValue { key: swap(&kv.key, from, to), ..kv },
            None => kv,
        })
    }

    /// Whether a key of the target is one that a selected key of the archive could go to.
    pub(in crate::backup) fn selects_target(&self, key: &Bytes) -> bool {
        match &self.rename {
            Some(Rename { from, to }) => self.takes(&swap(key, to, from)),
            None => self.takes(key),
        }
    }

    fn takes(&self, key: &[u8]) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.takes(key))
    }
}
