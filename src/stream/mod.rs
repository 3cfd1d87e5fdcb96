//! Long-lived streams over the client: scans, watches, both together, the renewal of leases, snapshots.
//!
//! `Client::scan`, `Client::watch` and the like are written here, so that the facade reads as one type while
//! `client` knows nothing of streams. Used by `backup`.

mod backoff;
mod follow;
mod lease;
mod scan;
mod snapshot;
mod watch;

pub use follow::{FollowStream, FollowUpdate};
pub use lease::{LeaseKeeper, LeaseLost};
pub use scan::{Scan, ScanPage, ScanStream, ScanWay};
pub use snapshot::SnapshotStream;
pub use watch::{Event, RevisionEvents, Watch, WatchStream, WatchUpdate};
