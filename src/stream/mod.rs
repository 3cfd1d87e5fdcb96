//! Long-lived streams over the client: scans and snapshots.
//!
//! `Client::scan` and `Member::snapshot` are written here, so that the facade reads as one type while
//! `client` knows nothing of streams. Used by `backup`.

mod scan;
mod snapshot;

pub use scan::{Scan, ScanPage, ScanStream};
pub use snapshot::SnapshotStream;
