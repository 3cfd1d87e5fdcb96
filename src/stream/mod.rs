//! Long-lived streams over the client: scans, snapshots and watches.
//!
//! `Client::scan`, `Client::watch` and `Member::snapshot` are written here, so that the facade reads as one type while
//! `client` knows nothing of streams. Used by `backup`.

mod scan;
mod snapshot;
mod watch;

pub use scan::{Scan, ScanPage, ScanStream};
pub use snapshot::SnapshotStream;
pub use watch::{Event, RevisionEvents, Watch, WatchStream, WatchUpdate};
