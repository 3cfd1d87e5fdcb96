mod grant;
mod list;
mod revoke;
mod time_to_live;

use std::time::Duration;

pub use grant::{GrantLease, GrantLeaseResult};
pub use list::{ListLeases, ListLeasesResult};
pub use revoke::{RevokeLease, RevokeLeaseResult};
pub use time_to_live::{LeaseTimeToLive, LeaseTimeToLiveResult, LeaseTimes};

fn seconds(wire: i64) -> Duration {
    Duration::from_secs(wire.try_into().unwrap_or_default())
}
