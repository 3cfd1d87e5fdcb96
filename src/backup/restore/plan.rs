//! Planning: the archive and the cluster are compared, and what is to be done is taken down. Reads only.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::RestoreMode;
use super::batch::{Limits, Portion, cost};
use super::script::{Script, ScriptWriter, Step};
use super::summary::{ByPrefix, Fate, PlanSummary, first_part};
use super::write::NAMED;
use crate::backup::compare::{Compared, Comparison};
use crate::backup::grants::Grants;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Header, KeyValue, LeaseId, Revision};
use crate::util::Escaped;

/// Takes down what is to be done, as the mode wants it.
#[derive(Debug)]
pub(super) struct Planner {
    mode: RestoreMode,
    /// Keys that were written later are left alone.
    since: Option<Revision>,
    grants: Grants,
    script: ScriptWriter,
    by_prefix: ByPrefix,
    conflicts: Vec<Bytes>,
    denied: Denied,
    leases: BTreeSet<LeaseId>,
    requests: Requests,
}

/// What comes of planning.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) script: Script,
    pub(super) summary: PlanSummary,
}

/// A key whose fate is decided: what the archive and the cluster have of it.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) fate: Fate,
    pub(super) archived: Option<KeyValue>,
    pub(super) found: Option<KeyValue>,
}

impl Planner {
    pub(super) fn new(mode: RestoreMode, since: Option<Revision>, grants: Grants) -> Self {
        Self {
            mode,
            since,
            grants,
            denied: Denied::default(),
            script: ScriptWriter::default(),
            by_prefix: ByPrefix::default(),
            conflicts: Vec::new(),
            leases: BTreeSet::new(),
            requests: Requests::default(),
        }
    }

    /// Takes what was compared, and gives back the key that the restore will change, if it is one.
    pub(super) fn take(
        &mut self,
        compared: Compared,
        comparison: &Comparison<'_>,
    ) -> Result<Option<Decided>> {
        match compared {
            Compared::Same(run) if self.mode.rewrites() => {
                run.into_records().into_iter().try_for_each(|kv| self.same(kv))?;
                Ok(None)
            }
            Compared::Same(run) => {
                self.script.push(Step::Pass(run.records))?;
                run.into_records().iter().for_each(|kv| self.by_prefix.add(Fate::Unchanged, kv));
                Ok(None)
            }
            Compared::Key { left: Some(archived), right: Some(found) }
                if comparison.is_same(&archived, &found) =>
            {
                self.same(found).map(|()| None)
            }
            Compared::Key { left, right } => {
                let key = self.decide(left, right);
                self.note(&key)?;
                Ok(Some(key).filter(|key| key.fate.changes()))
            }
        }
    }

    /// Of a key that both hold alike.
    fn same(&mut self, kv: KeyValue) -> Result<()> {
        let fate = if self.mode.rewrites() { Fate::Update } else { Fate::Unchanged };
        self.note(&Decided { fate, archived: Some(kv.clone()), found: Some(kv) })
    }

    fn decide(&self, archived: Option<KeyValue>, found: Option<KeyValue>) -> Decided {
        let later = |kv: &KeyValue| self.since.is_some_and(|since| kv.mod_revision > since);
        let free = !found.as_ref().is_some_and(later);
        let fate = match (&archived, &found) {
            (Some(_), None) => Fate::Create,
            (Some(_), Some(_)) if free && self.mode.updates() => Fate::Update,
            (Some(_), Some(_)) => Fate::Keep,
            (None, _) if free && self.mode.deletes() => Fate::Delete,
            (None, _) => Fate::Extra,
        };
        Decided { fate, archived, found }
    }

    /// Takes a key of an undo archive, in which a key that did not exist has a record too.
    pub(super) fn revert(&mut self, key: Decided) -> Result<()> {
        if key.fate != Fate::Delete {
            return self.note(&key);
        }
        self.script.push(Step::Pass(1))?;
        self.note(&Decided { archived: None, ..key })
    }

    fn note(&mut self, key: &Decided) -> Result<()> {
        let Decided { fate, archived, found } = key;
        let Some(kv) = archived.as_ref().or(found.as_ref()) else { return Ok(()) };
        self.by_prefix.add(*fate, kv);
        if *fate == Fate::Keep && self.conflicts.len() < NAMED {
            self.conflicts.push(Bytes::copy_from_slice(&kv.key));
        }
        if fate.changes() && !self.grants.may_write(&kv.key) {
            self.denied.note(&kv.key);
        }
        let seen = found.as_ref().map_or(Revision(0), |found| found.mod_revision);
        match fate {
            Fate::Unchanged | Fate::Keep => self.script.push(Step::Pass(1)),
            Fate::Create => self.put(kv, Step::Create(1)),
            Fate::Update => self.put(kv, Step::Update(seen)),
            Fate::Delete => {
                self.requests.delete(&kv.key);
                // A copy, lest the step keep the page that the key came in.
                self.script.push(Step::Delete(Bytes::copy_from_slice(&kv.key), seen))
            }
            Fate::Extra => Ok(()),
        }
    }

    fn put(&mut self, kv: &KeyValue, step: Step) -> Result<()> {
        self.leases.extend(kv.lease);
        self.requests.put(kv);
        self.script.push(step)
    }

    /// `round_trip` is how long a small read takes, `in_flight` how many requests are under way at once.
    pub(super) fn finish(self, target: Header, round_trip: Duration, in_flight: u32) -> Result<Planned> {
        let (prefixes, total) = self.by_prefix.finish();
        let leases = self.leases.len() as u64;
        let requests = self.requests.count() + leases;
        let bytes = total.create.bytes + total.update.bytes;
        let summary = PlanSummary {
            mode: self.mode,
            target,
            total,
            prefixes,
            conflicts: self.conflicts,
            denied: self.denied.keys,
            denied_keys: self.denied.first,
            leases,
            requests,
            estimated: estimate(requests, bytes, round_trip, in_flight),
        };
        Ok(Planned { script: self.script.finish()?, summary })
    }
}

/// Keys that the user may not write.
#[derive(Debug, Default)]
struct Denied {
    keys: u64,
    first: Vec<Bytes>,
}

impl Denied {
    fn note(&mut self, key: &Bytes) {
        self.keys += 1;
        if self.first.len() < NAMED {
            self.first.push(Bytes::copy_from_slice(key));
        }
    }
}

/// How many transactions the changes make: puts without leases, with leases, and deletions each on their own.
#[derive(Debug, Default)]
struct Requests {
    plain: Portion,
    leased: Portion,
    deletions: Portion,
    full: u64,
}

impl Requests {
    fn put(&mut self, kv: &KeyValue) {
        let portion = if kv.lease.is_some() { &mut self.leased } else { &mut self.plain };
        self.full += u64::from(portion.add(cost(&kv.key, &kv.value), Limits::default()));
    }

    fn delete(&mut self, key: &[u8]) {
        self.full += u64::from(self.deletions.add(cost(key, &[]), Limits::default()));
    }

    fn count(&self) -> u64 {
        let rests = [&self.plain, &self.leased, &self.deletions];
        self.full + rests.iter().filter(|rest| !rest.is_empty()).count() as u64
    }
}

/// A write waits for a majority's disks, unlike a read: it takes several times as long.
const WRITE_PER_READ: u32 = 4;
/// What passes through a cluster's log in a second.
const BYTES_PER_SECOND: u64 = 40 << 20;

fn estimate(requests: u64, bytes: u64, round_trip: Duration, in_flight: u32) -> Duration {
    let rounds = u32::try_from(requests.div_ceil(in_flight.max(1).into())).unwrap_or(u32::MAX);
    let waiting = round_trip.saturating_mul(WRITE_PER_READ).saturating_mul(rounds);
    waiting + Duration::from_millis(bytes.saturating_mul(1000) / BYTES_PER_SECOND)
}

/// Refuses what the mode does.
pub(super) fn check_conflicts(summary: &PlanSummary) -> Result<()> {
    let Some(first) = summary.conflicts.first().filter(|_| summary.is_refused()) else {
        return Ok(());
    };
    let message = format!(
        "{} keys of the archive are in the cluster with another value or lease, the first {}; nothing was written; \
         choose whether to leave existing keys alone or to replace them",
        summary.total.keep.keys,
        Escaped(first)
    );
    Err(Error::new(ErrorKind::Conflict, message))
}

/// Refuses what the servers would refuse in the middle of it.
pub(super) fn check_denied(summary: &PlanSummary) -> Result<()> {
    let Some(first) = summary.denied_keys.first() else { return Ok(()) };
    let message = format!(
        "permission denied: the user may not write {} of the keys, the first {}; nothing was written; it needs a role with \
         read and write permission on {}",
        summary.denied,
        Escaped(first),
        Escaped(first_part(first)),
    );
    Err(Error::new(ErrorKind::PermissionDenied, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_grow_with_requests_and_bytes() {
        let ms = Duration::from_millis;
        assert_eq!(estimate(0, 0, ms(1), 8), ms(0));
        assert_eq!(estimate(16, 0, ms(1), 8), ms(8));
        assert_eq!(estimate(1, 80 << 20, ms(1), 8), ms(2004));
        assert!(estimate(u64::MAX, u64::MAX, ms(1), 8) > ms(1_000_000), "no overflow");
    }
}
