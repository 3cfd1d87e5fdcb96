use bytes::Bytes;

use crate::types::{KeyValue, Revision};

/// What a watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchUpdate {
    /// The changes of one revision.
    Events(RevisionEvents),
    /// Everything up to this revision, and the revision itself, has been delivered. Only if it was asked for
    /// by [`Watch::progress`](crate::Watch::progress).
    Progress(Revision),
}

impl WatchUpdate {
    /// Where a watch goes on that has delivered this.
    pub(super) fn next(&self) -> Revision {
        match self {
            Self::Events(changes) => changes.revision.next(),
            Self::Progress(revision) => revision.next(),
        }
    }

    /// The memory that it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Events(changes) => changes.events.iter().map(Event::bytes).sum(),
            Self::Progress(_) => 0,
        }
    }
}

/// All changes of one revision in the watched range, save what the watch's filter leaves out: they were made
/// by one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevisionEvents {
    /// The revision.
    pub revision: Revision,
    /// The changes, at least one; each key at most once.
    pub events: Vec<Event>,
}

/// A change of one key.
///
/// Keys and values are slices of the response that they came in; see [`KeyValue::detach`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The key was written.
    Put {
        /// What it holds now.
        kv: KeyValue,
        /// What it held before, if [asked for](crate::Watch::previous_values) and there still is a record.
        previous: Option<KeyValue>,
    },
    /// The key was deleted, by a request or with its lease.
    Delete {
        /// The key.
        key: Bytes,
        /// What it held before, if [asked for](crate::Watch::previous_values) and there still is a record.
        previous: Option<KeyValue>,
    },
}

impl Event {
    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put { kv, .. } => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// Whether the key was not there before.
    #[must_use]
    pub fn is_creation(&self) -> bool {
        matches!(self, Self::Put { kv, .. } if kv.create_revision == kv.mod_revision)
    }

    fn bytes(&self) -> usize {
        let held = |kv: &KeyValue| kv.key.len() + kv.value.len();
        let (now, previous) = match self {
            Self::Put { kv, previous } => (held(kv), previous),
            Self::Delete { key, previous } => (key.len(), previous),
        };
        size_of::<Self>() + now + previous.as_ref().map_or(0, held)
    }
}
