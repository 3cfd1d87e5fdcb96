//! Backups: creating, verifying, opening and restoring archives of a cluster.
//!
//! The only place where `client`, `stream`, `archive` and `store` meet. Used by the command and by
//! other programs; nothing below knows of it.

mod compare;
mod create;
mod diff;
mod leases;
mod open;
mod progress;
mod restore;
mod selection;
mod verify;

pub use create::{Backup, BackupReport};
pub use diff::{Diff, DiffSide, Difference};
pub use open::{ArchiveFile, RecordReader};
pub use progress::{Phase, Progress};
pub use restore::{
    PlanSummary, Restore, RestoreCheck, RestoreMode, RestorePlan, RestoreReport, Tallies, Tally, Undo,
};
pub use selection::Selection;
pub use verify::{VerifyReport, verify};
