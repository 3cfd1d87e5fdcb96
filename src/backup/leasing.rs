//! Which leases restored keys get. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::selection::Selection;
use crate::archive::Lease;
use crate::types::{ClusterId, KeyValue, LeaseId};

/// Which leases the restored keys get. Keys that shared a lease share one again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeasePolicy {
    /// Their own, so that a holder who is still alive can go on renewing them. A lease that the cluster has is used
    /// as it is.
    #[default]
    SameId,
    /// Others, for where the old ids mean something else. The new ids follow from the source's cluster, the old ids and
    /// the renames: the same restore again finds the same ones.
    NewId,
    /// None: the keys stay until somebody deletes them.
    Drop,
}

impl LeasePolicy {
    const ALL: [Self; 3] = [Self::SameId, Self::NewId, Self::Drop];

    /// What it is called in archives.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SameId => "same-id",
            Self::NewId => "new-id",
            Self::Drop => "drop",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

/// How long the leases live that a restore grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseTtl {
    /// As long as they were granted for.
    #[default]
    Full,
    /// As long as they had left when the backup was made; not less than the server's minimum.
    Remaining,
}

/// The policy of one restore.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leasing {
    policy: LeasePolicy,
    ttl: LeaseTtl,
    /// What sets new ids apart from those of another restore.
    scope: [u8; 32],
}

impl Leasing {
    /// Of a restore from this cluster, if it is known, under these names.
    pub(super) fn new(
        policy: LeasePolicy,
        ttl: LeaseTtl,
        source: Option<ClusterId>,
        names: &Selection,
    ) -> Self {
        let source = source.map_or(0, |id| id.0).to_le_bytes();
        let scope = blake3::hash(&[&source[..], &names.renames_id()].concat());
        Self { policy, ttl, scope: scope.into() }
    }

    /// Whether a record's lease may become another one.
    pub(super) fn changes_leases(&self) -> bool {
        self.policy != LeasePolicy::SameId
    }

    /// The record as it is to be.
    pub(super) fn restored(&self, kv: KeyValue) -> KeyValue {
        KeyValue { lease: kv.lease.and_then(|lease| self.lease(lease)), ..kv }
    }

    /// The leases to grant, and for how long.
    pub(super) fn grants(&self, archived: &[Lease]) -> BTreeMap<LeaseId, Duration> {
        let granted = |lease: &Lease| Some((self.lease(lease.id)?, self.ttl(lease)));
        archived.iter().filter_map(granted).collect()
    }

    fn lease(&self, archived: LeaseId) -> Option<LeaseId> {
        match self.policy {
            LeasePolicy::SameId => Some(archived),
            LeasePolicy::NewId => Some(self.derived(archived)),
            LeasePolicy::Drop => None,
        }
    }

    fn ttl(&self, lease: &Lease) -> Duration {
        match self.ttl {
            LeaseTtl::Full => lease.granted_ttl,
            LeaseTtl::Remaining => lease.remaining_ttl,
        }
    }

    /// Not random, so that a restore that goes on after an interruption finds the leases of its first half.
    fn derived(&self, archived: LeaseId) -> LeaseId {
        let hash = blake3::keyed_hash(&self.scope, &archived.0.to_le_bytes());
        let start = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        // Ids are positive.
        LeaseId((u64::from_le_bytes(start) >> 1).cast_signed().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(id: i64) -> Lease {
        let secs = Duration::from_secs;
        Lease { id: LeaseId(id), granted_ttl: secs(60), remaining_ttl: secs(7) }
    }

    fn granted(policy: LeasePolicy, ttl: LeaseTtl, to: &'static str) -> Vec<(i64, u64)> {
        let names = Selection::new().rename("a/", to);
        let grants = Leasing::new(policy, ttl, Some(ClusterId(1)), &names).grants(&[lease(1), lease(2)]);
        grants.into_iter().map(|(id, ttl)| (id.0, ttl.as_secs())).collect()
    }

    #[test]
    fn a_policy_says_which_leases_are_granted_and_for_how_long() {
        assert_eq!(granted(LeasePolicy::SameId, LeaseTtl::Full, ""), [(1, 60), (2, 60)]);
        assert_eq!(granted(LeasePolicy::SameId, LeaseTtl::Remaining, ""), [(1, 7), (2, 7)]);
        assert_eq!(granted(LeasePolicy::Drop, LeaseTtl::Full, ""), []);
    }

    #[test]
    fn new_ids_are_positive_their_own_and_found_again() {
        let [one, again, other] = ["a", "a", "b"].map(|to| granted(LeasePolicy::NewId, LeaseTtl::Full, to));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert!(one.len() == 2 && one.iter().all(|(id, ttl)| *id > 2 && *ttl == 60), "{one:?}");
    }
}
