//! What tells archives that were saved for undo.

use crate::archive::{BackupOption, Header, Options};
use crate::backup::leasing::LeasePolicy;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{self, KeyRange, KeyValue, Revision};

/// The option that tells which leases the restored keys got.
const LEASES: &str = "leases";
/// The option that tells of an archive that it holds what a restore wrote.
const HOLDS: &str = "holds";
const WRITTEN: &str = "written";

/// What the range of an undo archive says: of no range does it hold every key.
pub(super) fn no_range() -> KeyRange {
    KeyRange::between("\x01", "\x01")
}

/// Whether the archive was made to undo a restore, and is no backup.
pub(super) fn is_undo(header: &Header) -> bool {
    header.range.is_empty()
}

/// How an archive says which leases the restored keys got.
pub(super) fn got(leases: LeasePolicy) -> BackupOption {
    BackupOption { name: LEASES.to_owned(), value: leases.name().to_owned() }
}

/// How an archive says that it holds what was written.
pub(super) fn written() -> BackupOption {
    BackupOption { name: HOLDS.to_owned(), value: WRITTEN.to_owned() }
}

fn holds_written(undo: &Options) -> bool {
    option(undo, HOLDS) == Some(WRITTEN)
}

/// Which leases the restored keys got.
pub(super) fn lease_policy(undo: &Options) -> LeasePolicy {
    option(undo, LEASES).and_then(LeasePolicy::named).unwrap_or_default()
}

fn option<'o>(undo: &'o Options, name: &str) -> Option<&'o str> {
    undo.options.iter().find(|option| option.name == name).map(|option| option.value.as_str())
}

/// A key that did not exist, in etcd's own form of one: no revision and no version.
pub(super) fn is_absent(kv: &KeyValue) -> bool {
    kv.create_revision == Revision(0)
}

/// Whether the archive holds what was in the target before a restore.
pub(super) fn check_undo(undo: &Header, options: &Options, target: types::Header) -> Result<()> {
    if !is_undo(undo) {
        return refused("the first archive is a backup, not what a restore saved for undo");
    }
    if holds_written(options) {
        return refused(
            "the first archive holds what was written, not what was there before; name the other one first",
        );
    }
    if undo.cluster_id != target.cluster_id {
        return refused(format!(
            "the restore was in cluster {}, but the endpoints are of cluster {}; nothing was written",
            undo.cluster_id, target.cluster_id
        ));
    }
    Ok(())
}

/// A backup may be of any cluster; what was saved of the written keys belongs to one restore.
pub(super) fn check_restored(restored: &Header, options: &Options, undo: &Header) -> Result<()> {
    let same_restore = (restored.cluster_id, restored.revision) == (undo.cluster_id, undo.revision);
    if !is_undo(restored) || (holds_written(options) && same_restore) {
        return Ok(());
    }
    refused("the second archive is neither what was restored nor what that restore saved of what it wrote")
}

fn refused(what: impl Into<String>) -> Result<()> {
    Err(Error::new(ErrorKind::Config, what))
}
