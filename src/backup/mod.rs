//! Backups: creating, verifying, opening and restoring archives of a cluster.
//!
//! The only place where `client`, `stream`, `archive` and `store` meet. Used by the command and by
//! other programs; nothing below knows of it.

mod against;
mod compare;
mod create;
#[cfg(feature = "encrypt")]
mod crypt;
mod database;
#[cfg(feature = "encrypt")]
mod decrypted;
mod diff;
mod facts;
mod grants;
mod in_order;
mod intact;
mod interchange;
mod keys;
mod leases;
mod leasing;
mod open;
mod output;
mod pipeline;
mod progress;
mod records;
mod restore;
mod salvage;
mod selection;
mod source;
mod structure;
mod verify;

pub use against::{AgainstCluster, UnequalKeys};
pub use create::{Backup, BackupReport};
#[cfg(feature = "encrypt")]
pub use crypt::{Encryption, Identities, generate_identity};
pub use diff::{Diff, DiffSide, Difference};
pub use grants::Grants;
pub use interchange::{Export, Import, ImportReport, TextFormat};
pub use leasing::{LeasePolicy, LeaseTtl};
pub use open::ArchiveFile;
pub use progress::{Phase, Progress};
pub use records::RecordReader;
pub use restore::{
    PlanSummary, Restore, RestoreCheck, RestoreMode, RestorePlan, RestoreReport, Tallies, Tally, Undo,
    UserChange, UserPlan,
};
pub use salvage::SalvagedFile;
pub use selection::Selection;
pub use verify::{VerifyReport, verify};
