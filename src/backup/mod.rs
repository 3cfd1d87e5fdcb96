//! Backups: creating, verifying, opening and restoring archives of a cluster.
//!
//! The only place where `client`, `stream`, `archive` and `store` meet. Used by the command and by
//! other programs; nothing below knows of it.

mod create;
mod leases;
mod open;
mod progress;
mod restore;
mod verify;

pub use create::{Backup, BackupReport};
pub use open::{ArchiveFile, RecordReader};
pub use progress::{Phase, Progress};
pub use restore::{Restore, RestoreMode, RestoreReport};
pub use verify::{VerifyReport, verify};
