//! Long-lived streams over the client: scans, snapshots and the renewal of leases.
//!
//! `Client::scan`, `Client::keep_lease` and `Member::snapshot` are written here, so that the facade reads as one type while
//! `client` knows nothing of streams. Used by `backup`.

mod lease;
mod scan;
mod snapshot;

pub use lease::{LeaseKeeper, LeaseLost};
pub use scan::{Scan, ScanPage, ScanStream};
pub use snapshot::SnapshotStream;
