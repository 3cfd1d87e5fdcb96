//! What a restore would do, in numbers. Pure.

use std::time::Duration;

use bytes::Bytes;

use super::RestoreMode;
use crate::types::{Header, KeyValue};

/// Keys, and how much they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many keys.
    pub keys: u64,
    /// Bytes of these keys and their values.
    pub bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, kv: &KeyValue) {
        self.keys += 1;
        self.bytes += (kv.key.len() + kv.value.len()) as u64;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.keys += other.keys;
        self.bytes += other.bytes;
    }
}

/// What a restore would do with each of the keys that it is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tallies {
    /// Written; the cluster does not hold them.
    pub create: Tally,
    /// Written over what the cluster holds.
    pub update: Tally,
    /// Deleted; the archive does not hold them. Bytes as the cluster has them.
    pub delete: Tally,
    /// The same already, and left so.
    pub unchanged: Tally,
    /// Different in the cluster, and left so.
    pub keep: Tally,
    /// Held by the cluster alone, and left so. Bytes as the cluster has them.
    pub extra: Tally,
}

impl Tallies {
    pub(super) fn of(&mut self, fate: Fate) -> &mut Tally {
        match fate {
            Fate::Create => &mut self.create,
            Fate::Update => &mut self.update,
            Fate::Delete => &mut self.delete,
            Fate::Unchanged => &mut self.unchanged,
            Fate::Keep => &mut self.keep,
            Fate::Extra => &mut self.extra,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.create.merge(other.create);
        self.update.merge(other.update);
        self.delete.merge(other.delete);
        self.unchanged.merge(other.unchanged);
        self.keep.merge(other.keep);
        self.extra.merge(other.extra);
    }
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Create,
    Update,
    Delete,
    Unchanged,
    Keep,
    Extra,
}

impl Fate {
    /// Whether the key will be another one after the restore.
    pub(super) fn changes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

/// What a restore would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanSummary {
    /// What is to be done with keys that the cluster holds.
    pub mode: RestoreMode,
    /// The cluster that is to be written to, and its revision when the plan was made.
    pub target: Header,
    /// How many keys, and how much they are.
    pub total: Tallies,
    /// The same by the first part of the keys, up to and with the first `/` that is not the key's first byte. In
    /// the order of keys; beyond 1000 prefixes, the rest together under an empty one.
    pub prefixes: Vec<(Bytes, Tallies)>,
    /// Keys that stand against the mode: it leaves them alone, or refuses. The first hundred.
    pub conflicts: Vec<Bytes>,
    /// How many of the keys that would be written or deleted the user has no right to, as far as its roles say: then
    /// nothing is written.
    pub denied: u64,
    /// The first hundred of those.
    pub denied_keys: Vec<Bytes>,
    /// How many leases the written keys need.
    pub leases: u64,
    /// How many requests it takes if no limit of the server's is below its default.
    pub requests: u64,
    /// How long that may take, very roughly: judged by how long reads took.
    pub estimated: Duration,
}

impl PlanSummary {
    /// How many keys would be written.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.total.create.keys + self.total.update.keys
    }

    /// Whether the mode refuses it: keys are there with another value or lease.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.mode == RestoreMode::Refuse && self.total.keep.keys > 0
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.writes() + self.total.delete.keys == 0
    }
}

/// Numbers by prefix, of keys that come in order.
#[derive(Debug, Default)]
pub(super) struct ByPrefix {
    prefixes: Vec<(Bytes, Tallies)>,
    rest: Tallies,
}

const MAX_PREFIXES: usize = 1000;

impl ByPrefix {
    pub(super) fn add(&mut self, fate: Fate, kv: &KeyValue) {
        let prefix = first_part(&kv.key);
        if self.prefixes.last().is_none_or(|(last, _)| last != prefix) {
            self.begin(prefix);
        }
        let known = self.prefixes.last_mut().filter(|(last, _)| last == prefix);
        known.map_or(&mut self.rest, |(_, tallies)| tallies).of(fate).add(kv);
    }

    fn begin(&mut self, prefix: &[u8]) {
        if self.prefixes.len() < MAX_PREFIXES {
            // A copy, lest the summary keep the answer that the key came in.
            self.prefixes.push((Bytes::copy_from_slice(prefix), Tallies::default()));
        }
    }

    /// The numbers by prefix, and their sum.
    pub(super) fn finish(mut self) -> (Vec<(Bytes, Tallies)>, Tallies) {
        if self.rest != Tallies::default() {
            self.prefixes.push((Bytes::new(), self.rest));
        }
        let mut total = Tallies::default();
        self.prefixes.iter().for_each(|(_, tallies)| total.merge(tallies));
        (self.prefixes, total)
    }
}

/// `/registry/` of `/registry/pods/a`, `app/` of `app/a`, and all of a key that has no such part.
pub(super) fn first_part(key: &[u8]) -> &[u8] {
    let slash = key.iter().skip(1).position(|&byte| byte == b'/');
    slash.and_then(|at| key.get(..at + 2)).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Revision;

    fn kv(key: &str) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: "12345".into(),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        }
    }

    #[test]
    fn keys_are_counted_by_their_first_part() {
        let mut by_prefix = ByPrefix::default();
        for key in ["/a", "/a/1", "/a/b/2", "/c/3", "d/4"] {
            by_prefix.add(Fate::Create, &kv(key));
        }
        by_prefix.add(Fate::Extra, &kv("d/5"));
        let (prefixes, total) = by_prefix.finish();
        let counts: Vec<_> = prefixes
            .iter()
            .map(|(prefix, tallies)| (&prefix[..], tallies.create.keys, tallies.extra.keys))
            .collect();
        assert_eq!(counts, [(&b"/a"[..], 1, 0), (b"/a/", 2, 0), (b"/c/", 1, 0), (b"d/", 1, 1)]);
        assert_eq!((total.create, total.extra.bytes), (Tally { keys: 5, bytes: 2 + 4 + 6 + 4 + 3 + 25 }, 8));
    }

    #[test]
    fn too_many_prefixes_are_taken_together() {
        let mut by_prefix = ByPrefix::default();
        for number in 0..3000 {
            by_prefix.add(Fate::Create, &kv(&format!("{number:04}/")));
        }
        let (prefixes, total) = by_prefix.finish();
        assert_eq!((prefixes.len(), total.create.keys), (1001, 3000));
        assert_eq!((&prefixes[1000].0[..], prefixes[1000].1.create.keys), (&b""[..], 2000));
    }
}
