use bytes::Bytes;

use super::super::kv::wire_range;
use crate::error::Result;
use crate::pb::etcdserverpb::{Compare as WireCompare, compare};
use crate::types::{KeyRange, LeaseId, Namespace, Revision};

/// A condition on a key, or on every key of a range, for a [`Txn`](super::Txn).
///
/// A key that does not exist, and a range without keys, compares as version, revisions and lease 0; no
/// comparison of its value holds, not even an unequal one.
#[derive(Clone, Debug)]
pub struct Compare {
    range: KeyRange,
    relation: Relation,
    target: compare::TargetUnion,
}

/// How a key's property must relate to the given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The property is the given one.
    Equal,
    /// The property is above the given one.
    Greater,
    /// The property is below the given one.
    Less,
    /// The property is another than the given one.
    NotEqual,
}

impl Compare {
    /// The key does not exist; no key of the range does.
    #[must_use]
    pub fn absent(range: impl Into<KeyRange>) -> Self {
        Self::create_revision(range, Relation::Equal, Revision(0))
    }

    /// The key exists; at least one of the range does.
    #[must_use]
    pub fn present(range: impl Into<KeyRange>) -> Self {
        Self::create_revision(range, Relation::NotEqual, Revision(0))
    }

    /// The key's value relates to this one, byte by byte.
    #[must_use]
    pub fn value(range: impl Into<KeyRange>, relation: Relation, value: impl Into<Bytes>) -> Self {
        Self::new(range, relation, compare::TargetUnion::Value(value.into()))
    }

    /// How often the key was put since it was created relates to this.
    #[must_use]
    pub fn version(range: impl Into<KeyRange>, relation: Relation, version: i64) -> Self {
        Self::new(range, relation, compare::TargetUnion::Version(version))
    }

    /// The revision that created the key relates to this one.
    #[must_use]
    pub fn create_revision(range: impl Into<KeyRange>, relation: Relation, revision: Revision) -> Self {
        Self::new(range, relation, compare::TargetUnion::CreateRevision(revision.0))
    }

    /// The revision of the key's last put relates to this one.
    #[must_use]
    pub fn mod_revision(range: impl Into<KeyRange>, relation: Relation, revision: Revision) -> Self {
        Self::new(range, relation, compare::TargetUnion::ModRevision(revision.0))
    }

    /// The key's lease relates to this one; `None` is no lease.
    #[must_use]
    pub fn lease(range: impl Into<KeyRange>, relation: Relation, lease: Option<LeaseId>) -> Self {
        Self::new(range, relation, compare::TargetUnion::Lease(LeaseId::to_wire(lease)))
    }

    fn new(range: impl Into<KeyRange>, relation: Relation, target: compare::TargetUnion) -> Self {
        Self { range: range.into(), relation, target }
    }

    pub(super) fn message(&self, namespace: &Namespace) -> Result<WireCompare> {
        let result = match self.relation {
            Relation::Equal => compare::CompareResult::Equal,
            Relation::Greater => compare::CompareResult::Greater,
            Relation::Less => compare::CompareResult::Less,
            Relation::NotEqual => compare::CompareResult::NotEqual,
        };
        let target = match &self.target {
            compare::TargetUnion::Version(_) => compare::CompareTarget::Version,
            compare::TargetUnion::CreateRevision(_) => compare::CompareTarget::Create,
            compare::TargetUnion::ModRevision(_) => compare::CompareTarget::Mod,
            compare::TargetUnion::Value(_) => compare::CompareTarget::Value,
            compare::TargetUnion::Lease(_) => compare::CompareTarget::Lease,
        };
        let (key, range_end) = wire_range(&self.range, namespace)?;
        Ok(WireCompare {
            key,
            range_end,
            result: result.into(),
            target: target.into(),
            target_union: Some(self.target.clone()),
        })
    }
}
