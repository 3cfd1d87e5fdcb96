//! The lock and the election that etcd's servers run for clients.
//!
//! Here a member waits in the queue on its client's behalf; what becomes of that when the member dies is
//! told at [`Lock`] and [`Campaign`]. A client that queues by itself survives more. The names are etcd's own,
//! in a module of their own beside those of the client's locks and elections.
//!
//! What these requests wait for may take as long as it likes: send them by
//! [`Client::send_within`](crate::Client::send_within).

mod election;
mod lock;

pub use election::{
    Campaign, CampaignResult, Leader, LeaderKey, LeaderResult, Proclaim, ProclaimResult, Resign, ResignResult,
};
pub use lock::{Lock, LockResult, Unlock, UnlockResult};

use crate::error::{Error, ErrorKind, Result};
use crate::types::LeaseId;

/// Without a lease the server would grant one of 60 s that nobody renews: what was won is then lost unnoticed.
fn wire_lease(lease: LeaseId) -> Result<i64> {
    if lease.0 == 0 {
        return Err(Error::new(ErrorKind::Config, "the lease is 0: grant one, and keep it alive"));
    }
    Ok(lease.0)
}
